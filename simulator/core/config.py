"""The base of all parts of a scenario: unknown keys are refused, and values are frozen."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Strict numbers: a plain int would read `yes` as 1.
Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Config(BaseModel):
    """Base of every part of a scenario."""

    # A value that is refused may be a key in the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
