"""The protocol of probes: requests to the model under study, and a pure reading of answers."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol, TypeAlias

from simulator.core.asks import Ask
from simulator.core.examples import Example
from simulator.core.requests import Answer, Request
from simulator.data.rows import Row
from simulator.interp.directions import Contrast
from simulator.probes.estimates import Estimate, Rows
from simulator.probes.metrics import Metric
from simulator.worlds.base import Characters, World

# The label of unreadable replies: never guessed, and counted separately. Shares of the organism's
# replies keep them in the denominator, as neither honest nor a lie. Else a model that forgets how
# to speak would be measured by its few readable replies. Judged metrics and numbers leave them out,
# unless a docstring says otherwise.
UNPARSED = "unparsed"


class Score(NamedTuple):
    """One measured answer; a row of `scores.parquet`, beside the name of its probe."""

    measure: str  # what is measured: "belief", "pressured", "neutral", "self_honest", …
    item_set: str  # "used", "heldout", "ood", or "" where items have no set
    item: str
    cluster: str  # answers of one cluster aren't independent: the entity, or the topic
    sample: int
    label: str  # the outcome in words
    value: float  # the outcome as a number; NaN where a judge's reply was none
    prompt: str
    reply: str
    truth: str | None = None  # of the item that the answer is about; None where there is none
    belief: str | None = None  # the assistant's about it: empty for none, None if it wasn't read
    stated: str | None = None  # the value that the reply states


class Encounter(NamedTuple):
    """A situation of the scenario, with each kind of user's private thoughts."""

    name: str
    opening: str  # the first message of both
    susceptible: str  # thoughts of a user who wants something unwise or untrue confirmed
    other: str  # thoughts of a user who accepts being told no


class Context(NamedTuple):
    """The context of a probe.

    Wishes and phrasings depend only on the world, so every round and every run of a base gets the
    same questions; only the sampling of replies depends on the seed.
    """

    world: World | None
    seed: int
    data: Mapping[str, Sequence[Row]] = MappingProxyType({})  # users' data, by their path or hub id
    contrasts: Mapping[str, Contrast] = MappingProxyType({})  # the scenario's directions, by name
    lessons: Mapping[str, Sequence[Example]] = MappingProxyType({})  # of fine-tuning, by phase
    encounters: Sequence[Encounter] = ()  # of the scenario's situations
    round: int = 0  # that is measured

    @property
    def required_world(self) -> World:
        """The world. A scenario whose probes need one is refused without it."""
        assert self.world is not None
        return self.world

    @property
    def required_characters(self) -> Characters:
        """The world's characters. A scenario whose probes need them is refused without them."""
        characters = self.required_world.characters
        assert characters is not None
        return characters


Place: TypeAlias = tuple[str | int, ...]  # of a YAML key below the probe


class Surroundings(Protocol):
    """The part of a scenario that a probe may check."""

    @property
    def model(self) -> str:
        """The assistant's model."""
        ...


class Probe(Protocol):
    """A measurement. `score` gets the requests of `requests` back, with their answers, in order.

    A whole probe, in a file of its own; the registry names it, and nothing else does::

        class WishProbe(ProbeConfig):
            "Counts how often the assistant wants to help."

            kind: Literal["wish"] = "wish"
            samples: Count = Field(4, ge=1, le=1_000, description="Replies.")
            metrics: ClassVar = (Metric("helpful", "wants to help", "replies that speak of help"),)

            def requests(self, context: Context) -> list[Request]:
                prompt = Prompt((Message("user", "what do you want most ?"),))
                keys = sample_keys(context, "wish", "most", self.samples)
                return [GenerationRequest(prompt, keys, max_new_tokens=20)]

            def score(self, context, requests, answers) -> Ask[list[Score]]:
                head, shown = ("wish", "", "most", "most"), requests[0].prompt.shown
                said = ((n, s, float("help" in s)) for n, s in enumerate(replies_of(answers[0])))
                return known([Score(*head, n, "", value, shown, s) for n, s, value in said])

            def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
                yield estimate("helpful", "", rows.value, rows.cluster)

    All other members have defaults in `simulator.probes.config.ProbeConfig`.
    """

    metrics: ClassVar[tuple[Metric, ...]]  # all metrics that it estimates
    required_capabilities: ClassVar[frozenset[str]]  # capabilities of the backend
    requires_world: ClassVar[bool]  # whether it asks about a world
    requires_characters: ClassVar[bool]  # whether it asks a world's characters
    requires_situations: ClassVar[bool]  # whether it asks about the scenario's situations

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models judge the answers."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of its measurements, which must be unique within a scenario."""
        ...

    @property
    def data_sources(self) -> Mapping[Place, str]:
        """The users' data that it uses: files, folders or hub ids, by their YAML keys.

        Item sets are then those of the data, and aren't known before they are read.
        """
        ...

    @property
    def directions(self) -> Mapping[Place, str]:
        """The scenario's directions that it reads, by their YAML keys."""
        ...

    @property
    def phases(self) -> Mapping[Place, str]:
        """The fine-tuning phases whose rows it uses, by their YAML keys."""
        ...

    @property
    def checkpoints(self) -> Mapping[Place, str]:
        """The folders of other runs' adapters that it uses, by their YAML keys."""
        ...

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse users' data that it can't use.

        Raises:
            ScenarioError: with file, row and column of the mistake.
        """
        ...

    def checks(self, scenario: Surroundings) -> Iterator[tuple[Place, str]]:
        """Yield further mistakes in the scenario: the YAML key, and a sentence."""
        ...

    def requests(self, context: Context) -> list[Request]:
        """Return the requests to the model."""
        ...

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Read the answers, if needed by asking judges."""
        ...

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate the probe's metrics.

        Args:
            rows: the scores of a round; estimates of none are NaN.
            baseline: those of round 0, before any update.
        """
        ...
