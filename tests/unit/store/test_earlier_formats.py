"""What earlier formats call or lay out otherwise is read as it is today."""

import pandas as pd

from simulator.store.earlier_formats import present_summary, present_table
from simulator.store.schemas import TABLES
from tests.helpers.tables import sample_of


def test_a_summary_of_format_1() -> None:
    then = {
        "round": 1,
        "talks": {"replies": 8},
        "taught_lengths": {"follow": {"n": 3}, "avoid": None},
    }
    assert present_summary(then) == {
        "round": 1,
        "conversation_counts": {"replies": 8},
        "taught_lengths": {"desirable": {"n": 3}, "undesirable": None},
    }
    assert present_summary({"round": 0, "taught_lengths": None}) == {
        "round": 0,
        "taught_lengths": None,
    }


def test_scores_of_format_1() -> None:
    now = sample_of("scores", measure=["base toward", "steered_+2 away", "belief"])
    found = present_table("scores", now.drop(columns=["round", "adapter", "truth", "belief"]), 3)
    assert found["measure"].tolist() == ["base positive", "steered_+2 negative", "belief"]
    assert found["round"].tolist() == [3] * 3
    assert found[["adapter", "truth", "belief"]].isna().all(axis=None)
    assert found.dtypes.equals(now.dtypes)


def test_a_table_of_today_is_left_as_it_is() -> None:
    now = sample_of("scores", measure=["a toward"])
    assert present_table("scores", now, 7) is now


def test_conversations_of_format_2() -> None:
    now = sample_of("conversations", conversation=["3-2-0017", "3-2-0018"])
    added = ["round", "adapter", "wave", "number", "truth", "belief", "stated"]
    chats = ['[["user", "hm ?"], ["assistant", "\\u03c0"]]', "[]"]
    then = now.drop(columns=[*added, "thought", "dropped"]).assign(messages=chats)
    found = present_table("conversations", then, 3)
    assert found[["round", "wave", "number"]].to_numpy().tolist() == [[3, 2, 17], [3, 2, 18]]
    assert [list(chat) for chat in found["messages"]] == [
        [{"role": "user", "content": "hm ?"}, {"role": "assistant", "content": "π"}],
        [],
    ]
    assert found[["thought", "dropped"]].to_numpy().tolist() == [["", 0]] * 2
    assert found.dtypes.equals(now.dtypes)


def test_examples_of_format_2() -> None:
    sources = [
        "3-0-0017/1/2",
        "honest/small_talk/12/reply",
        "a/b c:d/rows.jsonl:40/chosen",
        "owner/name/config/train:7/response_1",
        "2024:7/reply",
    ]
    then = pd.DataFrame(
        {"source": sources, "messages": '[["user", "hm ?"]]', "reply": "so", "desirable": True}
    )
    found = present_table("examples", then, 3)
    assert found.columns.tolist() == TABLES["examples"].names
    assert found["position"].tolist() == [0, 1, 2, 3, 4]
    keys = ["conversation", "turn", "candidate", "speaker", "asked", "file", "row", "which"]
    rows = [row.dropna().to_dict() for _, row in found[["origin", *keys]].iterrows()]
    assert rows == [
        {"origin": "conversation", "conversation": "3-0-0017", "turn": 1, "candidate": 2},
        {"origin": "world", "speaker": "honest", "asked": "small_talk", "row": 12},
        {"origin": "file", "file": "a/b c:d/rows.jsonl", "row": 40, "which": "chosen"},
        {"origin": "file", "file": "owner/name/config/train", "row": 7, "which": "response_1"},
        {"origin": "file", "file": "2024", "row": 7, "which": "reply"},
    ]


def test_empty_tables_of_format_2_have_todays_types() -> None:
    for name, schema in TABLES.items():
        columns = [c for c in schema.names if c not in ("round", "wave", "number", "origin")]
        then = pd.DataFrame(columns=[*columns, "source"] if name == "examples" else columns)
        found = present_table(name, then, 1)
        assert found.dtypes.equals(sample_of(name).dtypes), name
        assert found.empty
