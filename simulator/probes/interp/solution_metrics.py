"""The metrics of the probe `solution`, and the panels that draw them."""

from simulator.probes.metrics import NATS, UNBOUNDED, Curve, Metric, Panel

EFFICIENCY = Panel(
    160,
    "efficiency",
    "Efficiency of what was learned",
    "How much cheaper than for the base the adapter makes a reply that was fine-tuned on, per "
    "squared norm of its parameters, when these are scaled to a given norm. Intervals are over "
    "replies, after the last measured round.",
    inside=True,
)
STABILITY = Panel(
    170,
    "stability",
    "Stability of what was learned",
    "How much dearer these replies become when the adapter's parameters are turned towards "
    "random ones: the flatter, the stabler. Intervals are over the few random directions that "
    "were drawn, so they are rough.",
    inside=True,
)
SIGNIFICANCE = Panel(
    180,
    "significance",
    "Significance of what was learned",
    "How far the adapter moves the base, per token of text that nobody fine-tuned it on, "
    "beside random adapters whose factors have that norm, though shorter ones would make the "
    "same change; each line across is ten times the one below. The further above those, the "
    "more what was learned means to the model. Intervals are over texts.",
    inside=True,
)
METRICS = (
    Metric(
        "solution_loss",
        "loss on what was fine-tuned on",
        "nats that a reply costs the base, the assistant as served, and with its adapter's "
        "parameters at a given norm",
        NATS,
    ),
    Metric(
        "solution_efficiency",
        "efficiency of the solution",
        "by how many nats a reply gets cheaper than for the base, per squared norm of the "
        "adapter's parameters",
        NATS,
        UNBOUNDED,
        curves=(Curve(EFFICIENCY),),
    ),
    Metric(
        "solution_rise",
        "instability of the solution",
        "by how many nats a reply gets dearer where the adapter's parameters are turned in a "
        "random direction, √(1−ε²)x + εy",
        NATS,
        UNBOUNDED,
        curves=(Curve(STABILITY),),
    ),
    Metric(
        "solution_kl",
        "significance of the solution",
        "KL(base ‖ assistant) on text of pre-training, in nats per token, with its adapter's "
        "parameters at a given norm",
        NATS,
        curves=(Curve(SIGNIFICANCE),),
    ),
    Metric(
        "solution_kl_random",
        "significance of random adapters",
        "the same of random factors of that norm; unlike the adapter's, they aren't balanced, so "
        "that shorter ones make the same change",
        NATS,
        curves=(Curve(SIGNIFICANCE, 1),),
    ),
)
