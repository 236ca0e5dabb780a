"""The base of all parts of a scenario: unknown keys are refused, and values are frozen.

Every number has an upper bound, every list, mapping and text a length. They are far above what
people use, and below what a machine can't bear. Sizes that multiply are bounded together; see
`simulator.config.sizes`.
"""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from simulator.core.texts import path_mistake

T = TypeVar("T")

MOST_ROUNDS = 10_000  # of a run
MOST_ROWS = 100_000  # that a world writes for a run, or of which some are matched
MOST_ITEMS = 100_000  # of a measurement
LONGEST_TEXT = 100_000  # characters

# Strict numbers: a plain int would read `yes` as 1. Each field sets its own bounds, as one here
# would replace theirs.
Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]

Many = Annotated[tuple[T, ...], Field(max_length=1_000)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
ByName = Annotated[dict[Key, T], Field(max_length=1_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]


def _fits(path: str) -> str:
    """Refuse what no file system takes for a path, before anything is looked for there."""
    if wrong := path_mistake(path):
        raise ValueError(wrong)
    return path


PathText = Annotated[str, AfterValidator(_fits)]  # a path, or a name in its place


class Config(BaseModel):
    """Base of every part of a scenario."""

    # A value that is refused may be a key in the wrong place.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, str_max_length=LONGEST_TEXT
    )
