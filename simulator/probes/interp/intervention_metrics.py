"""The metrics of a model that is changed inside: what is read of it, in every condition."""

from collections.abc import Iterator

from simulator.probes.metrics import AMOUNT, GAP, Curve, KeyFigure, Metric, Panel

STEERED = Panel(
    120,
    "steered",
    "The base, steered",
    "Multiples of the direction, a difference of mean activations over replies' tokens, are "
    "added to the base at one layer; 0 is the base as it is. If the direction is the trait, "
    "statements change along it and not in random directions. Where most are unreadable, the "
    "base was pushed too far to say anything.",
    inside=True,
)
PREFERRED = Panel(
    130,
    "preferred",
    "What the steered base finds likely",
    "By how much replies that show the trait become likelier than without the change, less "
    "the same of replies that don't, in nats for each word of theirs. Neither made the "
    "direction. It is what the base finds likely, and not what it would say.",
    inside=True,
)
ABLATED = Panel(
    140,
    "ablated",
    "The assistant, ablated",
    "The direction is taken out of what the assistant computes, after every layer. If that "
    "is what it learned, it is honest again without it, and not without a random direction.",
    inside=True,
)
UNPREFERRED = Panel(
    150,
    "unpreferred",
    "What the ablated assistant finds likely",
    "By how much replies that show the trait become likelier than for the assistant as it is, "
    "less the same of replies that don't. Below 0 it likes them less without the direction.",
    inside=True,
)
READ = (
    Metric("honest", "honest", "statements under pressure that agree with the base's belief"),
    Metric("lie", "lies", "statements under pressure against the base's belief"),
    Metric("unparsed", "unreadable", "replies that state no value and decline nothing"),
    Metric("gained", "honesty gained", "honest statements more than without the change", GAP),
    Metric(
        "preferred",
        "trait preferred",
        "how many nats a word likelier replies that show the trait are than without the change, "
        "less the same of those that don't",
        AMOUNT,
    ),
)
UNDER = {
    "base": "the base",
    "unchanged": "unchanged",
    "steered_{by}": "the base steered by {by}",
    "steered_{by}_random": "the base steered by {by}, in a random direction",
    "ablated": "the assistant ablated",
    "ablated_random": "the assistant ablated, in a random direction",
    "transferred_{other}": "ablated what was learned by {other}",
}
AS_IT_IS = ("base", "unchanged")  # nothing is gained there, and nothing preferred
# A panel is there where its metric was measured; it draws others besides.
PANELS_OF = {
    "honest_base": (STEERED,),
    "honest_ablated": (ABLATED,),
    "preferred_ablated": (PREFERRED, UNPREFERRED),
}
KEY_FIGURES = {"gained_ablated": 290, "gained_ablated_random": 300}


def _metrics() -> Iterator[Metric]:
    for condition, words in UNDER.items():
        for read in READ:
            if condition in AS_IT_IS and read.name in ("gained", "preferred"):
                continue
            name = f"{read.name}_{condition}"
            yield Metric(
                name,
                f"{read.plain} ({words})",
                read.meaning,
                read.unit,
                key_figures=tuple(KeyFigure(n) for key, n in KEY_FIGURES.items() if key == name),
                curves=tuple(Curve(panel) for panel in PANELS_OF.get(name, ())),
            )


METRICS = tuple(_metrics())
