"""The settings of learners: objective, adapter and optimiser."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from simulator.core.config import Config, Count, Many, Number
from simulator.core.examples import Example, Signal

Reference = Literal["base", "previous"]
REFERENCE = "The reference for log-probabilities: the assistant before this update "
REFERENCE += "(previous) or before all updates (base)."


class LoRAConfig(Config):
    """Low-rank matrices beside linear layers (Hu et al., 2106.09685)."""

    kind: Literal["lora"] = "lora"
    rank: Count = Field(8, ge=1, le=10_000, description="Rank of the adapter.")
    alpha: Count = Field(16, ge=1, le=100_000, description="The adapter's scale is alpha / rank.")
    rslora: bool = Field(
        False, description="Scale by alpha / √rank instead: rank-stabilised LoRA (2312.03732)."
    )
    layers: Many[Annotated[Count, Field(ge=0, le=10_000)]] = Field(
        (), description="Numbers of the adapted layers, from 0; empty: all."
    )
    modules: Many[str] = Field(
        (), description="Names of the adapted linear layers, such as down_proj; empty: all."
    )


class SteeringConfig(Config):
    """One vector, added to the residual stream after one layer; nothing else is trained."""

    kind: Literal["steering"] = "steering"
    layer: Count = Field(ge=0, le=10_000, description="The layer's number, from 0.")


AnyAdapter = Annotated[LoRAConfig | SteeringConfig, Field(discriminator="kind")]


class KLConfig(Config):
    """A penalty on divergence from a reference on anchors, which are replies of other domains.

    The loss gains weight · KL(reference ‖ current), in nats per token of the anchors' replies
    (Soligo et al., 2602.07852, also weigh it per token).
    """

    weight: Number = Field(gt=0, le=1e6, description="λ, per token.")
    reference: Reference = Field(
        "base", description="The reference: the assistant before this update, or before all."
    )
    batch_size: Count = Field(8, ge=1, le=100_000, description="Anchors per step of the optimiser.")


class PreventiveConfig(Config):
    """Steers the model towards a trait during training only (Chen et al., 2507.21509).

    Steering supplies the change that the data would teach, so the weights needn't learn it.
    """

    direction: str = Field(description="One of the scenario's `directions`.")
    scale: Number = Field(1.0, gt=0, le=1e6, description="Multiple of the direction that is added.")


class UpdateConfig(Config):
    """The settings of all learners that change the assistant."""

    required_signal: ClassVar[Signal] = "desirable"
    kind: str
    adapter: AnyAdapter = LoRAConfig()
    learning_rate: Number = Field(1e-3, gt=0, le=1e300)
    decay: Number = Field(1.0, gt=0, le=1, description="Learning-rate factor from round to round.")
    epochs: Count = Field(2, ge=1, le=10_000)
    batch_size: Count = Field(
        16, ge=1, le=100_000, description="Examples (of dpo: pairs) per step of the optimiser."
    )
    micro_batch: Count | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Examples per forward pass, to save memory; empty: all of a batch.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute activations instead of keeping them, to save memory."
    )
    clip: Number = Field(1.0, gt=0, le=1e9, description="Largest norm of the gradient.")
    optimizer: Literal["carried", "reset"] = Field(
        "carried", description="Whether AdamW's state is kept from round to round."
    )
    kl: KLConfig | None = None
    preventive: PreventiveConfig | None = None
    inoculation: str = Field(
        "",
        description="A system line before every context in training, but not when "
        "evaluated (2510.04340).",
    )
    on_divergence: Literal["roll_back", "end"] = Field(
        "end",
        description="If an update's loss or parameters aren't finite, or the assistant has "
        "collapsed: undo the round's update, or stop the run.",
    )
    collapse: Number | None = Field(
        0.5,
        gt=0,
        lt=1,
        description="The assistant has collapsed if more than this share of its replies can't be "
        "read, and more than before the update; empty: don't check.",
    )
    device: str = Field("auto", description="A torch device; auto: a GPU where there is one.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="The base's type; auto: as the backend's. Adapters are float32.",
    )
    own_process: bool | Literal["auto"] = Field(
        "auto",
        description="Whether each update runs in its own process, which frees all its memory; "
        "auto: on a GPU.",
    )

    def lacking(self, examples: Sequence[Example]) -> str:
        """Return what the examples lack for an update; empty if nothing.

        Undesirable replies alone give no target: there must be a desirable reply.
        """
        return "" if any(example.desirable for example in examples) else "desirable reply"

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Return the examples that the learner uses: the desirable replies."""
        return [example for example in examples if example.desirable]


class SFTConfig(UpdateConfig):
    """Supervised fine-tuning on the desirable replies (expert iteration)."""

    kind: Literal["sft"] = "sft"


class KTOConfig(UpdateConfig):
    """Kahneman-Tversky optimisation on desirable and undesirable replies (2402.01306)."""

    required_signal: ClassVar[Signal] = "undesirable"
    kind: Literal["kto"] = "kto"
    beta: Number = Field(0.1, gt=0, le=1e6, description="The factor β of log-ratios, per nat.")
    reference: Reference = Field("previous", description=REFERENCE)
    desirable_weight: Number = Field(1.0, gt=0, le=1e6, description="Weight of desirable replies.")
    undesirable_weight: Number | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Weight of undesirable replies; empty: desirable · desirable_weight / "
        "(undesirable · 1.05), by their numbers in each update (2411.02306).",
    )

    def lacking(self, examples: Sequence[Example]) -> str:
        """Return which kind of reply is missing: the weights need both."""
        avoided = any(not example.desirable for example in examples)
        return super().lacking(examples) or ("" if avoided else "undesirable reply")

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Return all examples."""
        return list(examples)


class DPOConfig(UpdateConfig):
    """Direct preference optimisation on a better and a worse reply to one context (2305.18290)."""

    required_signal: ClassVar[Signal] = "pairs"
    kind: Literal["dpo"] = "dpo"
    beta: Number = Field(0.1, gt=0, le=1e6, description="The factor β of log-ratios, per nat.")
    reference: Reference = Field("previous", description=REFERENCE)

    def lacking(self, examples: Sequence[Example]) -> str:
        """Return a pair if there is none."""
        return "" if pairs_among(examples) else "pair of a better and a worse reply to one context"

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Return the replies of pairs."""
        return [example for pair in pairs_among(examples) for example in pair]


class NoUpdateConfig(Config):
    """Control: no updates; users, ratings and selection run as usual."""

    kind: Literal["none"] = "none"

    def lacking(self, examples: Sequence[Example]) -> str:
        """Return nothing: examples aren't needed."""
        return ""

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Return all examples, as other learners would use."""
        return list(examples)


AnyLearner = Annotated[
    SFTConfig | KTOConfig | DPOConfig | NoUpdateConfig, Field(discriminator="kind")
]


def pairs_among(examples: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Pair each desirable reply with an undesirable one of its turn and context, in order.

    Replies that are left over belong to no pair.
    """
    turns = defaultdict[Any, tuple[list[Example], list[Example]]](lambda: ([], []))
    for example in examples:
        better, worse = turns[example.turn, example.messages]
        (better if example.desirable else worse).append(example)
    return [pair for both in turns.values() for pair in zip(*both, strict=False)]
