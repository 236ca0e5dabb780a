"""The format of run directories, and the conversion from earlier formats.

Format 1 (until 6d899d2, without a number in the manifest) has other names for the entries below.
"""

from typing import Any

import pandas as pd

FORMAT = 2  # raised when a stored name changes
SUMMARY_KEYS = {"talks": "conversation_counts"}
SIGNALS = {"follow": "desirable", "avoid": "undesirable"}  # of `taught_lengths`
SIDES = {" toward": " positive", " away": " negative"}  # endings of measures in `scores.parquet`


def present_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a round with the present keys."""
    found = {SUMMARY_KEYS.get(key, key): value for key, value in summary.items()}
    if taught := found.get("taught_lengths"):
        found["taught_lengths"] = {SIGNALS.get(key, key): value for key, value in taught.items()}
    return found


def present_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of a round with the present names of measures, if it has any."""
    if "measure" not in table:
        return table
    measure = table["measure"]
    for before, now in SIDES.items():
        measure = measure.where(
            ~measure.str.endswith(before), measure.str.removesuffix(before) + now
        )
    return table.assign(measure=measure)
