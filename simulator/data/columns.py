"""Columns that change what a row teaches, by the names that popular formats give them.

Whatever a schema doesn't take into account of these is refused. All other columns are metadata,
and ignored.
"""

import re
from collections.abc import Collection
from typing import Any

from simulator.data.rows import Row

_LABEL = "says whether the reply is good"
_SCORE = "says how good the reply is"
_WEIGHT = "says how much the row counts"
_MASK = "says what of the row is learned"
_PAIR = "has another reply"
_MORE = "is a part of the chat"
_TOOLS = "has tools or calls of them"
_MEDIA = "has more than text"
_RENDERED = "says how the chat is rendered"
_GROUPS = {
    _LABEL: "label labels kto_tag desirable is_desirable undesirable preferred preference "
    "is_preferred is_chosen accepted thumb thumbs thumbs_up thumbs_down winner vote votes upvoted "
    "downvoted liked disliked feedback user_feedback is_good is_bad",
    _SCORE: "score scores rating ratings reward rewards rank margin quality quality_score "
    "helpfulness correctness upvotes downvotes",
    _WEIGHT: "weight weights sample_weight sample_weights example_weight loss_weight loss_weights",
    _MASK: "train train_on train_on_input train_on_inputs train_detail mask loss_mask "
    "completion_mask assistant_mask assistant_masks",
    _PAIR: "chosen rejected completion completions rejected_message rejected_messages "
    "rejected_response rejected_responses rejected_completion",
    _MORE: "history system system_prompt context input document documents thinking reasoning "
    "reasoning_content thought thoughts",
    _TOOLS: "tool tools function functions tool_call tool_calls function_call function_calls "
    "tool_choice",
    _MEDIA: "image images audio audios video videos",
    _RENDERED: "chat_template chat_template_kwargs",
}
MEANING = {name: what for what, names in _GROUPS.items() for name in names.split()}
LABELS = ("label", "kto_tag")  # whether the reply is desirable, in TRL and LLaMA-Factory
_ONE = (1, "1", "1.0")  # a weight that changes nothing; True equals 1
_YES, _NO = ("true", "1", "1.0"), ("false", "0", "0.0")


def refuse_others(row: Row, used: Collection[str]) -> None:
    """Refuse a row with a column that changes what it teaches, except those in use.

    Raises:
        ScenarioError: names row and column.
    """
    for column, value in row.values.items():
        meaning = MEANING.get(_normal(column), "")
        if not meaning or column in used or is_empty(value):
            continue
        if meaning in (_WEIGHT, _MASK) and value in _ONE:
            continue
        raise row.mistake(
            column,
            f"{meaning}, which can't be taken into account here; leave such rows out or put them "
            "in a known form, and then remove the column",
        )


def refuse_weights(row: Row) -> None:
    """Refuse a row that counts more or less than others.

    Raises:
        ScenarioError: names row and column.
    """
    weighing = {column for column in row.values if MEANING.get(_normal(column)) == _WEIGHT}
    refuse_others(row, [column for column in row.values if column not in weighing])


def desirable(row: Row) -> bool:
    """Return whether a row's only reply is desirable: so says its label, if it has one.

    Raises:
        ScenarioError: the label is neither true nor false.
    """
    said = {column: _verdict(row, column) for column in LABELS if column in row.values}
    if len(set(said.values())) > 1:
        raise row.mistake("kto_tag", "says the opposite of the label")
    return next(iter(said.values()), True)


def _verdict(row: Row, column: str) -> bool:
    word = str(row.values[column]).strip().lower()
    if word not in (*_YES, *_NO):
        shown = "empty" if is_empty(row.values[column]) else repr(row.values[column])[:40]
        raise row.mistake(
            column,
            f"must be true (learn the reply) or false (an undesirable reply), not {shown}; remove "
            "the column if it says something else",
        )
    return word in _YES


def is_empty(value: Any) -> bool:
    """Return whether a value says nothing: Arrow fills absent columns with null."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def _normal(column: object) -> str:
    """Return a name as `sample_weight`, also if it was `Sample weight` or `sampleWeight`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(column))
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
