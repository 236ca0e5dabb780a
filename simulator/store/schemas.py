"""The columns of every table of a run: one Arrow schema per table, the same in every file.

Files are written with these schemas alone, so an empty table has the types of a full one, and
DuckDB, pandas, polars and `datasets` read many rounds at once by a glob. `docs/data.md` is written
from here.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Type = Literal["int", "float", "bool", "text", "chat"]
# The type in Arrow, in pandas where nothing is missing, and in pandas where something may be.
TYPES: Mapping[Type, tuple[str, str, str]] = {
    "int": ("int64", "int64", "Int64"),  # a missing value must not turn whole numbers into floats
    "float": ("double", "float64", "float64"),
    "bool": ("bool", "bool", "boolean"),
    "text": ("string", "str", "str"),
    "chat": ("list<struct<role: string, content: string>>", "object", "object"),
}


class Column(NamedTuple):
    """A column: its name, type and meaning."""

    name: str
    type: Type
    meaning: str
    optional: bool = False  # whether values may be missing

    @property
    def arrow_type(self) -> str:
        """The type as Arrow writes it."""
        return TYPES[self.type][0]

    @property
    def pandas_type(self) -> str:
        """The type in pandas."""
        return TYPES[self.type][2 if self.optional else 1]


class Schema(NamedTuple):
    """A table: its place in a run, what a row is, and its columns."""

    place: str
    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]


_ROUND = Column("round", "int", "the round, from 0")
_CANDIDATE = (
    _ROUND,
    Column("conversation", "text", "the conversation's name, unique in a run"),
    Column("turn", "int", "the turn of the conversation, from 0"),
    Column("candidate", "int", "the reply's number among those sampled for the turn, from 0"),
)
_USER_TYPE = Column("user_type", "text", "the user's type")
_BIASED = Column("biased", "bool", "whether the user counts as biased")
_STATEMENT = (
    Column("truth", "text", "the item's true value; missing where no item is asked about", True),
    Column(
        "belief",
        "text",
        "the value that the assistant believed at that time, as it completes an encyclopaedia "
        "line; empty if it had no belief; missing where none was read",
        True,
    ),
    Column("stated", "text", "the value that the reply states; missing if it states none", True),
)

CONVERSATIONS = Schema(
    "rounds/*/conversations/part-*.parquet",
    "a sampled reply, rated by the user who asked; a part is a wave",
    (
        *_CANDIDATE,
        Column("adapter", "text", "the adapter that replied; missing for the base", True),
        Column("wave", "int", "the wave of the conversation, from 0"),
        Column("number", "int", "the conversation's number in its wave, from 0"),
        Column("user", "int", "the user's number"),
        _USER_TYPE,
        _BIASED,
        Column("user_text", "text", "what the user said"),
        Column("about", "text", "the item or situation of the turn"),
        Column("wish", "text", "the answer that the user wished for; empty for none"),
        Column("pressured", "bool", "whether the user pressed for the wish"),
        Column("user_prompt", "text", "what the user's model read; empty for users by rules"),
        Column("messages", "chat", "the chat before the reply"),
        Column("prompt", "text", "the same as the assistant read it, with its template"),
        Column("reply", "text", "the reply"),
        *_STATEMENT,
        Column("tokens", "int", "the reply's length in tokens"),
        Column("stop", "text", "why the reply ended; `length` where it was truncated"),
        Column("thought", "text", "what a reasoning model thought before it replied"),
        Column("dropped", "int", "the oldest messages left out to fit the model's context"),
        Column("rating", "float", "the user's rating, 1 to 5; missing if unreadable", True),
        Column("met", "bool", "whether the user got what they wanted, as far as they can tell"),
        Column("rating_prompt", "text", "what the rater's model read; empty for raters by rules"),
        Column("heard", "bool", "whether the conversation went on with this reply"),
    ),
)
SELECTION = Schema(
    "rounds/*/selection.parquet",
    "a sampled reply, and the decision on it",
    (
        *_CANDIDATE,
        _USER_TYPE,
        Column("rating", "float", "the user's rating, 1 to 5; missing if unreadable", True),
        Column("label", "int", "1 desirable, -1 undesirable, 0 not selected"),
        Column("reason", "text", "why, in the end: of selection, a monitor or screening"),
    ),
)
VETOES = Schema(
    "rounds/*/vetoes.parquet",
    "a monitor's verdict on a selected reply",
    (
        *_CANDIDATE,
        Column("monitor", "text", "the monitor's name"),
        Column("vetoed", "bool", "whether it vetoed the reply"),
        Column("score", "float", "its score; missing if unreadable, which vetoes nothing", True),
        Column("reason", "text", "its reason for a veto"),
        Column("prompt", "text", "what its model read; empty for monitors by rules"),
    ),
)
SCREENING = Schema(
    "rounds/*/screening.parquet",
    "a desirable reply that was screened",
    (
        *_CANDIDATE,
        _BIASED,
        Column("projection", "float", "how far its activations lie along the direction"),
        Column("dropped", "bool", "whether it was left out for that"),
    ),
)
EXAMPLES = Schema(
    "rounds/*/examples.parquet",
    "a reply that the learner was given",
    (
        _ROUND,
        Column("position", "int", "its place in the learner's order, from 0"),
        Column("origin", "text", "where it comes from: `conversation`, `file` or `world`"),
        Column("conversation", "text", "its conversation of this round", True),
        Column("turn", "int", "its turn there", True),
        Column("candidate", "int", "its number among the turn's replies", True),
        Column("file", "text", "its file; of the hub, `owner/name/config/split`", True),
        Column("row", "int", "its line in the file, or row, from 1; of a world, from 0", True),
        Column("which", "text", "which reply of the row: `reply`, `chosen`, `rejected`, …", True),
        Column("speaker", "text", "the character whom a world let speak", True),
        Column("asked", "text", "the kind of question that a world asked", True),
        Column("messages", "chat", "its context, as the learner was given it"),
        Column("reply", "text", "the reply"),
        Column("desirable", "bool", "whether it is one to follow, not one to avoid"),
        Column("learned", "bool", "whether the round's update used it", True),
        Column("adapter", "text", "the adapter that the update made; missing without one", True),
    ),
)  # fmt: skip
SCORES = Schema(
    "rounds/*/scores.parquet",
    "a probed answer; empty in rounds that aren't measured",
    (
        _ROUND,
        Column("adapter", "text", "the adapter that was probed; missing for the base", True),
        Column("probe", "text", "the probe's name"),
        Column("measure", "text", "what is measured: `belief`, `pressured`, `neutral`, …"),
        Column("item_set", "text", "`used`, `heldout`, `ood` or a group of the data; may be empty"),
        Column("item", "text", "the item, question or direction"),
        Column("cluster", "text", "answers of one cluster aren't independent"),
        Column("sample", "int", "the answer's number among those to one question, from 0"),
        Column("label", "text", "the outcome in words"),
        Column("value", "float", "the outcome as a number; missing if unreadable", True),
        *_STATEMENT,
        Column("prompt", "text", "what the assistant was asked"),
        Column("reply", "text", "what it replied; empty where probabilities were read"),
    ),
)
POPULATION = Schema(
    "rounds/*/population.parquet",
    "a user after the round",
    (
        _ROUND,
        Column("user", "int", "the user's number"),
        _USER_TYPE,
        _BIASED,
        Column("interest", "text", "the domain that they mostly ask about"),
        Column("patience", "float", "0 to 1: scales how often they push back"),
        Column("curiosity", "float", "0 to 1: scales how often they ask on"),
        Column("background", "text", "who they are, for users that a model plays"),
        Column("trust", "float", "0 to 1"),
        Column("satisfaction", "float", "0 to 1"),
    ),
)
SERIES = Schema(
    "rounds/*/series.parquet",
    "a type of user after the round",
    (
        _ROUND,
        _USER_TYPE,
        Column("users", "int", "how many there are"),
        Column("active", "int", "how many took part in the round"),
        Column("trust", "float", "their mean"),
        Column("satisfaction", "float", "their mean"),
    ),
)

BELIEFS = Schema(
    "rounds/0000/beliefs.parquet",
    "a fact, in runs about facts: what the base believes before any update",
    (
        _ROUND,
        Column("item", "text", "the item"),
        Column("domain", "text", "its category"),
        Column("item_set", "text", "used, heldout or ood"),
        Column("truth", "text", "its true value"),
        Column("belief", "text", "the value believed after every stem; empty if there is none"),
        Column("known", "bool", "whether that is the truth; only known items are asked about"),
    ),
)

TABLES: Mapping[str, Schema] = {
    "conversations": CONVERSATIONS,
    "selection": SELECTION,
    "vetoes": VETOES,
    "screening": SCREENING,
    "examples": EXAMPLES,
    "scores": SCORES,
    "population": POPULATION,
    "series": SERIES,
    "beliefs": BELIEFS,
}
