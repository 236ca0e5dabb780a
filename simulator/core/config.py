"""What all parts of a scenario have in common: unknown keys are refused, nothing changes later."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Numbers that are written as numbers: a plain int would take `yes` for 1.
Count = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]


class Config(BaseModel):
    """Base of every part of a scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)
