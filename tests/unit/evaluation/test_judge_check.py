"""A judge against people's labels: reading them, and Cohen's κ."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.evaluation.agreement import cohens_kappa, confusion
from simulator.evaluation.judge_check import Question, question_of
from simulator.evaluation.labels import Labelled, labels_of, read_labelled, usable

ROWS = [('Is it, "so"?', "Two\nlines", "yes"), ("b", "c", "no")]


def asked(positive: str | None = None, of_labels: float = 50) -> Question:
    chosen = question_of(
        load("therapy"), "harm", threshold=None, of_labels=of_labels, positive=positive
    )
    assert chosen.threshold == 50
    return chosen


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_text('label,prompt,reply,who\nyes,"Is it, ""so""?","Two\nlines",x\nno,b,c,y\n')
    rows = [dict(zip(("prompt", "reply", "label"), row, strict=True)) for row in ROWS]
    lines.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    whole = [Labelled(*row) for row in ROWS]
    assert read_labelled(table) == read_labelled(lines) == (whole, [])


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "prompt,reply\na,b\n", "a.csv:2: missing or empty label"),
        ("a.csv", "prompt,reply,label\na,b,yes\na,,no\n", "a.csv:3: missing or empty reply"),
        ("a.csv", "prompt,reply,label\n", "a.csv: no rows; each must have prompt, reply, label"),
        ("a.csv", 'prompt,reply,label\n"a"b,c,d\n', "a.csv:2: invalid CSV"),
        ("a.jsonl", "", "a.jsonl: no rows"),
        ("a.jsonl", '\n{"prompt": 1', "a.jsonl:2: invalid JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: invalid JSON"),
        ("a.jsonl", "[1]", "a.jsonl:1: invalid row; it must be an object"),
        ("a.jsonl", '{"prompt": "a", "reply": "b"}', "a.jsonl:1: missing or empty label"),
        ("a.jsonl", b"\xff", "a.jsonl:1: has the byte 0xff, which isn't UTF-8"),
        ("gone.csv", None, "gone.csv: can't be read as text (No such file"),
    ],
)
def test_mistakes_are_named_with_their_line(
    tmp_path: Path, name: str, text: str | bytes | None, sentence: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        said = str(read_labelled(path)[1][0])
    except ScenarioError as error:  # of the file as a whole
        said = str(error)
    assert said.removeprefix(f"{tmp_path}/").startswith(sentence)


@pytest.mark.parametrize(
    ("labels", "question", "yes"),
    [
        (["yes", "no", " YES "], asked(), [True, False, True]),
        (["true", "false"], asked(), [True, False]),
        (["bad", "good", "mixed"], asked("Bad"), [True, False, False]),
        (["50", "49.9", "1e2"], asked(), [True, False, True]),
        (["4", "2"], asked(of_labels=3), [True, False]),
        (["yes", "true", "1", "Y", "0", "no"], asked(), [True, True, True, True, False, False]),
        (["1", "0"], asked("0"), [False, True]),
    ],
)
def test_which_labels_are_a_yes(labels: list[str], question: Question, yes: list[bool]) -> None:
    found = labels_of(labels, question.of_labels, question.positive, Path("f"))
    assert found.yes.tolist() == yes


def test_words_that_could_mean_either_are_asked_about() -> None:
    for question in (asked(), asked("worst")):
        with pytest.raises(
            ScenarioError,
            match="missing --positive, the label that means yes; available: bad, good",
        ):
            labels_of(["good", "bad"], question.of_labels, question.positive, Path("f"))
    with pytest.raises(
        ScenarioError, match=r"unknown scale .*; available: honesty, harm, pleasing"
    ):
        question_of(load("therapy"), "hram", threshold=None, of_labels=None, positive=None)
    with pytest.raises(ScenarioError, match="quickstart: missing probe of kind 'judged'"):
        question_of(load(), None, threshold=None, of_labels=None, positive=None)


def test_kappa_by_hand() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: p_o = .7, p_e = .5 · .6 + .5 · .4 = .5, κ = .4."""
    theirs = np.array([1] * 20 + [1] * 5 + [0] * 10 + [0] * 15, bool)
    ours = np.array([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15, bool)
    assert confusion(ours, theirs).tolist() == [[15, 10], [5, 20]]
    kappa = cohens_kappa(ours, theirs)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.low < 0.4 < kappa.high
    # the delta method's standard error is .128
    assert kappa.high - kappa.low == pytest.approx(2 * 1.96 * 0.128, rel=0.15)
    assert cohens_kappa(ours, theirs) == kappa


def test_kappa_at_its_ends() -> None:
    mixed = np.array([True, False] * 10)
    assert cohens_kappa(mixed, mixed)[:2] == (1.0, 1.0)
    assert cohens_kappa(mixed, ~mixed).value == -1.0
    same = np.ones(10, bool)
    assert np.isnan(cohens_kappa(same, same)).all()
    assert np.isnan(cohens_kappa(same[:0], same[:0])).all()


@pytest.mark.parametrize("label", [" ", "n/a", "NA", "null", "<NA>"])
def test_a_missing_value_is_no_label(tmp_path: Path, label: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"prompt,reply,label\nq,a,yes\nq,a,{label}\n")
    with pytest.raises(ScenarioError, match=r"labels.csv:3: label: is missing"):
        usable(path, skip_bad_rows=False)
    assert len(usable(path, skip_bad_rows=True)[0]) == 1


@pytest.mark.parametrize("label", ["nan", "NaN", " NAN ", "inf", "-Infinity", "1e999"])
def test_labels_that_are_no_finite_number_are_refused_by_line(tmp_path: Path, label: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,reply,label\na,b,10\na,b,{label}\na,b,90\na,,no\n")
    rows, refused = read_labelled(path)
    assert [row.label for row in rows] == ["10", "90"]
    assert [str(row) for row in refused] == [
        f"{path}:3: label: must be a word or a finite number, not {label.strip()}",
        f"{path}:5: missing or empty reply",
    ]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"label": float("nan")}, "label: must be a word or a finite number, not nan"),
        ({"label": None}, "missing or empty label"),
        ({"label": "yes", "weight": 0.5}, "weight: says how much the row counts"),
        ({"label": "yes", "reply": ["b"]}, "reply: must be text, not list"),
        ({"label": "yes", "prompt": "\ud83d"}, "has half of a character"),
    ],
)
def test_rows_that_say_something_else_are_refused(
    tmp_path: Path, row: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": "a", "reply": "b", **row}))
    ((refused,), rows) = reversed(read_labelled(path))
    assert rows == [] and sentence in str(refused)


def test_what_labels_were_taken_for_is_said() -> None:
    words = ["yes", "no", "unsure", "No", "n/a", "YES "]
    found = labels_of(words, 50, None, Path("f"))
    assert found.taken == "Labels taken as yes: yes (2); as no: no (2), unsure (1), n/a (1)."
    assert labels_of(["1e-5", "2"], 1.5, None, Path("f")).taken == (
        "Labels of 1.5 or more were taken as yes."
    )
    many = labels_of(["yes", *(f"w{n}" for n in range(40))], 50, None, Path("f"))
    assert many.taken.endswith("w11 (1), and 28 other words.")


def test_thresholds_are_finite() -> None:
    with pytest.raises(ScenarioError, match="--threshold nan: invalid threshold"):
        question_of(load("therapy"), None, threshold=float("nan"), of_labels=None, positive=None)


def test_bad_rows_are_left_out_by_the_command_alone_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,reply,label\nq,a,10\nq,a,nan\n")
    words = ["judge-check", str(path), "--scenario", "therapy", "--judge", str(tmp_path / "gone")]
    refused = CliRunner().invoke(app, words)
    assert str(refused.exception) == (
        f"{path}:3: label: must be a word or a finite number, not nan"
    )
    left = CliRunner().invoke(app, [*words, "--skip-bad-rows"])
    assert f"left out 1 of 2 rows: {path}:3: label" in left.output  # and then the judge is sought
