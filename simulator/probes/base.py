"""What a probe is: requests for the model under study, and a pure reading of the answers."""

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

# The label of what couldn't be read: never guessed, and counted apart. Shares of what the organism
# says keep it in their denominators, as neither honest nor a lie, so that one that forgets how to
# speak isn't measured by the few sentences that are left. What is read by a judge or off numbers
# leaves it out, unless a docstring says otherwise.
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


class Encounter(NamedTuple):
    """A situation of the scenario, and what each kind of user thinks of it in private."""

    name: str
    opening: str  # what both say first
    susceptible: str  # thoughts of who wants something unwise or untrue confirmed
    other: str  # of who can hear a no


class Context(NamedTuple):
    """What a probe may know.

    Wishes and phrasings of ours depend on the world alone, so every round and every run of a base
    is asked the same; only the sampling of replies depends on the seed.
    """

    world: World | None
    seed: int
    data: Mapping[str, Sequence[Row]] = MappingProxyType({})  # users' data, by what names them
    contrasts: Mapping[str, Contrast] = MappingProxyType({})  # the scenario's directions, by name
    lessons: Mapping[str, Sequence[Example]] = MappingProxyType({})  # of fine-tuning, by phase
    encounters: Sequence[Encounter] = ()  # of the scenario's situations
    round: int = 0  # that is measured

    @property
    def required_world(self) -> World:
        """The world; scenarios whose probes need one are refused without."""
        assert self.world is not None
        return self.world

    @property
    def required_characters(self) -> Characters:
        """The world's characters; scenarios whose probes need them are refused without."""
        characters = self.required_world.characters
        assert characters is not None
        return characters


Place: TypeAlias = tuple[str | int, ...]  # of a YAML key below the probe


class Surroundings(Protocol):
    """What a probe may check of its scenario."""

    @property
    def model(self) -> str:
        """The assistant's model."""
        ...


class Probe(Protocol):
    """A measurement. `score` gets back what `requests` returned, with the answers, in order.

    A whole probe, in a file of its own; the registry names it, and nothing else does::

        class WishProbe(ProbeConfig):
            "Counts how often the assistant wants to help."

            kind: Literal["wish"] = "wish"
            samples: Count = Field(4, ge=1, description="Replies.")
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

    Whatever it leaves out is that of `simulator.probes.config.ProbeConfig`.
    """

    metrics: ClassVar[tuple[Metric, ...]]  # all that it estimates
    required_capabilities: ClassVar[frozenset[str]]  # capabilities of the backend
    requires_world: ClassVar[bool]  # does it ask about the organism's world?
    requires_situations: ClassVar[bool]  # does it ask about the scenario's situations?

    @property
    def roles(self) -> frozenset[str]:
        """The models that judge the answers."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """What it measures; no two probes of a scenario measure the same."""
        ...

    @property
    def data_sources(self) -> Mapping[Place, str]:
        """The users' data that it asks about: files, folders or hub ids, by their YAML keys.

        Item sets are then those of the data, and nobody knows them before they are read.
        """
        ...

    @property
    def directions(self) -> Mapping[Place, str]:
        """The scenario's directions that it reads, by their YAML keys."""
        ...

    @property
    def phases(self) -> Mapping[Place, str]:
        """The fine-tuning phases whose rows it asks about, by their YAML keys."""
        ...

    @property
    def checkpoints(self) -> Mapping[Place, str]:
        """The folders of other runs' adapters that it asks, by their YAML keys."""
        ...

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse users' data that it can't ask about.

        Raises:
            ScenarioError: with file, row and column of the mistake.
        """
        ...

    def checks(self, scenario: Surroundings) -> Iterator[tuple[Place, str]]:
        """Yield what else of the scenario doesn't suit it: the YAML key, and a sentence."""
        ...

    def requests(self, context: Context) -> list[Request]:
        """Return what to ask the model."""
        ...

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Read the answers, or ask judges to."""
        ...

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate what the probe measures.

        Args:
            rows: the scores of a round; estimates of none are NaN.
            baseline: those of round 0, before any update.
        """
        ...
