"""What the JSON and YAML of runs and sweeps hold, as far as it is read: files may be damaged.

Whatever else they hold is kept as it is.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.core.errors import StoreError, shortened

# Larger numbers aren't counts, and floats don't hold them.
Int = Annotated[int, Field(ge=-(2**53), le=2**53)]


class Shape(BaseModel):
    """Base of all shapes."""

    model_config = ConfigDict(extra="allow", strict=True)


class Kind(Shape):
    """A part of a scenario of one of several kinds."""

    kind: str


class Phase(Kind):
    """A phase."""

    name: str
    rounds: Annotated[int, Field(ge=1, le=10_000)] | None = None


class UserType(Shape):
    """A type of user."""

    share: float
    biased: bool = False
    policy: Kind
    rater: Kind


class Population(Shape):
    """The users."""

    users: Int
    types: dict[str, UserType]


class Probe(Kind):
    """A probe."""

    role: str = ""
    scales: dict[str, dict[str, Any]] = {}


class Measure(Shape):
    """The probes."""

    baseline: str | None = None
    probes: dict[str, Probe]


class Role(Shape):
    """The model of a role."""

    model: str
    backend: Kind


class Scenario(Shape):
    """The scenario of a run, of any version."""

    name: str
    seed: Int
    rounds: Annotated[int, Field(ge=1, le=10_000)]
    model: str
    phases: list[Phase]
    backend: Kind
    roles: dict[str, Role] | None = None
    situations: list[dict[str, Any]] | None = None
    population: Population
    monitors: dict[str, Kind] | None = None
    learner: Kind
    measure: Measure


class Estimate(Shape):
    """An estimate of a metric."""

    metric: str
    item_set: str
    value: float | None
    low: float | None
    high: float | None
    n: Int


class Lengths(Shape):
    """Lengths of replies."""

    n: Int
    mean: float
    sd: float
    low: float
    median: float
    high: float


class Share(Shape):
    """A share, with its interval."""

    value: float | None
    low: float | None
    high: float | None
    n: Int


class Screened(Shape):
    """How well screening found replies."""

    replies: Int
    dropped: Int
    precision: Share | None
    base_rate: Share | None
    recall: Share | None


class Summary(Shape):
    """The summary of a round, in the present format."""

    round: Int
    phase: str
    adapter: str | None = None
    dose: dict[str, float | None] | None = None
    selected_share: dict[str, float | None] | None = None
    taught_lengths: dict[str, Lengths | None] | None = None
    update: dict[str, float | str | None] | None = None
    canary: dict[str, float | str | None] | None = None
    speech: dict[str, bool | float | None] | None = None
    unchanged: str | None = None
    conversation_counts: dict[str, Int] | None = None
    screening: Screened | None = None
    estimates: list[Estimate]


class Timing(Shape):
    """A round's time by activity, and the requests of roles."""

    asked: dict[str, dict[str, Int]] = {}


class Manifest(Shape):
    """The manifest of a run."""

    format: Int = 1
    results: Int = 1
    dtype: str | None = None  # of an assistant that an endpoint plays: none
    left_out_rows: dict[str, Int] = {}
    data_sha256: dict[str, str] = {}
    packages: dict[str, str | None] = {}


class Cost(Shape):
    """An entry of costs."""

    read: Int
    written: Int
    cost: float
    committed: bool = True


class LoRA(Shape):
    """The configuration of a run's adapter."""

    r: Annotated[int, Field(ge=1, le=2**53)]
    lora_alpha: float
    use_rslora: bool | None = None


class Cap(Shape):
    """A later cap of costs."""

    cap: float


class PaidAnswer(Shape):
    """An answer that was paid for, and the key of its request."""

    key: str
    answer: dict[str, Any]


class Member(Shape):
    """A run of a sweep."""

    arm: str
    settings: dict[str, Any]
    rounds: Int
    run: Annotated[str, Field(pattern=r"^[^/\x00]{1,200}$")]


class Sweep(Shape):
    """The list of a sweep's runs."""

    name: str
    runs: list[Member]


def checked(path: Path, content: Any, shape: type[Shape]) -> dict[str, Any]:
    """Return the content of a file, which must have a shape.

    Raises:
        StoreError: it has another; names file and place.
    """
    try:
        shape.model_validate(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = shortened(".".join(map(str, wrong["loc"])) or "all of it")
        message = str(wrong["msg"])
        raise StoreError(
            f"{path}: damaged: {place}: {message[:1].lower()}{message[1:]}; restore it from a copy"
        ) from None
    assert isinstance(content, Mapping)
    return dict(content)


def checked_lines(path: Path, lines: Iterable[Any], shape: type[Shape]) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines, each of which must have a shape.

    Raises:
        StoreError: one has another; names file, line and place.
    """
    numbered = enumerate(lines, 1)
    return [checked(path.with_name(f"{path.name}:{n}"), line, shape) for n, line in numbered]
