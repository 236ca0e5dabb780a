"""The settings of learners: what is learned, in which adapter, and by which steps."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from simulator.core.config import Config, Count, Number
from simulator.core.examples import Example, Signal

Reference = Literal["base", "previous"]
REFERENCE = "What a reply's log-probability is compared with: the assistant before this update "
REFERENCE += "(previous) or before all of them (base)."


class LoRAConfig(Config):
    """Low-rank matrices beside linear layers (Hu et al., 2106.09685)."""

    kind: Literal["lora"] = "lora"
    rank: Count = Field(8, ge=1, description="Rank of the adapter.")
    alpha: Count = Field(16, ge=1, description="The adapter's scale is alpha / rank.")
    rslora: bool = Field(
        False, description="Scale by alpha / √rank instead: rank-stabilised LoRA (2312.03732)."
    )
    layers: tuple[Annotated[Count, Field(ge=0)], ...] = Field(
        (), description="Numbers of the layers that get one, from 0; empty: all."
    )
    modules: tuple[str, ...] = Field(
        (), description="Names of the linear layers that get one, such as down_proj; empty: all."
    )


class SteeringConfig(Config):
    """One vector, added to the residual stream after one layer: nothing else is learned."""

    kind: Literal["steering"] = "steering"
    layer: Count = Field(ge=0, description="The layer's number, from 0.")


AnyAdapter = Annotated[LoRAConfig | SteeringConfig, Field(discriminator="kind")]


class KLConfig(Config):
    """A penalty for moving away from a reference on anchors: replies of other domains.

    The loss gains weight · KL(reference ‖ current), in nats per token of the anchors' replies
    (Soligo et al., 2602.07852, weigh it per token, too).
    """

    weight: Number = Field(gt=0, description="λ, per token.")
    reference: Reference = Field(
        "base", description="Kept near the assistant before this update, or before all of them?"
    )
    batch_size: Count = Field(8, ge=1, description="Anchors per step of the optimiser.")


class PreventiveConfig(Config):
    """Pushes the model towards a trait while it learns, and never after (Chen et al., 2507.21509).

    What the data would have moved it by is there already, so it needn't learn to go there.
    """

    direction: str = Field(description="One of the scenario's `directions`.")
    scale: Number = Field(
        1.0, gt=0, description="How many times the difference of its two sides is added."
    )


class UpdateConfig(Config):
    """What all learners have that change the assistant."""

    required_signal: ClassVar[Signal] = "desirable"
    kind: str
    adapter: AnyAdapter = LoRAConfig()
    learning_rate: Number = Field(1e-3, gt=0)
    decay: Number = Field(1.0, gt=0, le=1, description="Learning-rate factor from round to round.")
    epochs: Count = Field(2, ge=1)
    batch_size: Count = Field(
        16, ge=1, description="Examples (of dpo: pairs) per step of the optimiser."
    )
    micro_batch: Count | None = Field(
        None, ge=1, description="Of these, how many at a time: less memory. Empty: all."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice instead of keeping them: less memory."
    )
    clip: Number = Field(1.0, gt=0, description="Largest norm of the gradient.")
    optimizer: Literal["carried", "reset"] = Field(
        "carried", description="Does AdamW's state live on from round to round?"
    )
    kl: KLConfig | None = None
    preventive: PreventiveConfig | None = None
    inoculation: str = Field(
        "",
        description="A system line before every context that is trained on, and none that is "
        "evaluated (2510.04340).",
    )
    on_divergence: Literal["roll_back", "end"] = Field(
        "end",
        description="Where an update's loss or parameters aren't finite, or the assistant has "
        "collapsed: keep it as it was in this round, or end the run?",
    )
    collapse: Number | None = Field(
        0.5,
        gt=0,
        lt=1,
        description="Collapsed is an assistant of whose replies more than this share can't be "
        "read, and more than before the update; empty: don't look.",
    )
    device: str = Field("auto", description="A torch device; auto: a GPU where there is one.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the base; auto: as stored on a GPU, float32 on a CPU."
    )
    own_process: bool | Literal["auto"] = Field(
        "auto",
        description="Does each update run in a process of its own, which then gives its memory "
        "back? auto: on a GPU.",
    )

    def lacking(self, examples: Sequence[Example]) -> str:
        """Says what is missing among the examples, so that nothing can be learned; empty: nothing.

        Avoiding alone leads nowhere in particular: there must be a desirable reply.
        """
        return "" if any(example.desirable for example in examples) else "desirable reply"

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Returns those that the learner learns from: the desirable replies."""
        return [example for example in examples if example.desirable]


class SFTConfig(UpdateConfig):
    """Supervised fine-tuning on the desirable replies (expert iteration)."""

    kind: Literal["sft"] = "sft"


class KTOConfig(UpdateConfig):
    """Kahneman-Tversky optimisation on desirable and undesirable replies (2402.01306)."""

    required_signal: ClassVar[Signal] = "undesirable"
    kind: Literal["kto"] = "kto"
    beta: Number = Field(0.1, gt=0, description="How much a log-ratio counts, per nat.")
    reference: Reference = Field("previous", description=REFERENCE)
    desirable_weight: Number = Field(1.0, gt=0, description="Of desirable replies.")
    undesirable_weight: Number | None = Field(
        None,
        gt=0,
        description="Of undesirable replies; empty: desirable · desirable_weight / (undesirable · "
        "1.05), by their numbers in each update (2411.02306).",
    )

    def lacking(self, examples: Sequence[Example]) -> str:
        """Replies of both kinds are needed: the weights balance one against the other."""
        avoided = any(not example.desirable for example in examples)
        return super().lacking(examples) or ("" if avoided else "undesirable reply")

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """All of them."""
        return list(examples)


class DPOConfig(UpdateConfig):
    """Direct preference optimisation on a better and a worse reply to one context (2305.18290)."""

    required_signal: ClassVar[Signal] = "pairs"
    kind: Literal["dpo"] = "dpo"
    beta: Number = Field(0.1, gt=0, description="How much a log-ratio counts, per nat.")
    reference: Reference = Field("previous", description=REFERENCE)

    def lacking(self, examples: Sequence[Example]) -> str:
        """A pair is needed."""
        return "" if pairs_among(examples) else "pair of a better and a worse reply to one context"

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """Replies of pairs."""
        return [example for pair in pairs_among(examples) for example in pair]


class NoUpdateConfig(Config):
    """Control: nothing is learned; users, ratings and selection go on as ever."""

    kind: Literal["none"] = "none"

    def lacking(self, examples: Sequence[Example]) -> str:
        """Nothing is needed."""
        return ""

    def learned(self, examples: Sequence[Example]) -> list[Example]:
        """All that would be learned from otherwise."""
        return list(examples)


AnyLearner = Annotated[
    SFTConfig | KTOConfig | DPOConfig | NoUpdateConfig, Field(discriminator="kind")
]


def pairs_among(examples: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Pairs each desirable reply with one to avoid of the same turn and context, in order.

    What is left over belongs to no pair.
    """
    turns = defaultdict[Any, tuple[list[Example], list[Example]]](lambda: ([], []))
    for example in examples:
        better, worse = turns[example.turn, example.messages]
        (better if example.desirable else worse).append(example)
    return [pair for both in turns.values() for pair in zip(*both, strict=False)]
