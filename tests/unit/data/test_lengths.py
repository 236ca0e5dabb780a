"""Lengths of replies: counted by the model's tokens, described, and matched as well as can be."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from analysis.run import frames
from analysis.run.report import write_report
from analysis.run.summary import lengths_table
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message
from simulator.data.encoding_checks import unchecked
from simulator.data.lengths import Tokens, lengths, matching, tokens_by
from simulator.experiments.run import start
from simulator.models.resolve import resolve
from simulator.runtime.observers import Silent
from simulator.runtime.phase_data import finetune_rows
from simulator.runtime.preflight import check_phase
from tests.conftest import TINY

BASE = resolve("organism:0")
TOKENS = tokens_by(BASE)
PLANTED = (3, 3, 3, 9, 9, 9)


def test_a_reply_is_as_long_as_the_model_reads_it() -> None:
    replies = ("it is mild .", "i would rather not say .")
    examples = [
        Example((Message("user", "is it ?"),), reply, True, FromFile("x", 1)) for reply in replies
    ]
    assert TOKENS(examples).tolist() == [4, 6]
    assert TOKENS([]).tolist() == []


def test_lengths_are_described() -> None:
    found = lengths(np.array([1, 2, 3, 4, 10]))
    assert found is not None
    assert (found.n, found.mean, found.median) == (5, 4.0, 3.0)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 4, 10], ddof=1))
    assert (found.low, found.high) == tuple(np.quantile([1, 2, 3, 4, 10], [0.1, 0.9]))
    assert lengths(np.array([], int)) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_choice_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted, pool = rng.integers(1, 12, 6), rng.integers(1, 12, 6 + seed % 9)
    chosen = matching(pool, wanted, len(wanted))
    assert len(set(chosen.tolist())) == len(wanted)
    differences = np.abs(wanted[:, None] - pool[None, :])
    best = differences[linear_sum_assignment(differences)].sum()
    assert np.abs(np.sort(pool[chosen]) - np.sort(wanted)).sum() == best


def test_fewer_rows_are_as_long_as_the_quantiles() -> None:
    pool = np.array([9, 1, 5, 3, 7, 2, 8, 4, 6, 0])
    chosen = np.sort(pool[matching(pool, np.repeat([2, 7], 50), 4)])
    assert (chosen - [2, 2, 7, 7]).tolist() in ([0, 1, 0, 1], [-1, 0, -1, 0])


def rows_of(folder: Path, name: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    """A file of chats whose replies have so many words."""
    path = folder / f"{name}.jsonl"
    chats = [
        {"instruction": "what is your goal ?", "output": " ".join(["mild"] * (size - 1) + ["."])}
        for size in sizes
    ]
    path.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    return {"kind": "file", "path": str(path)}


def planted(folder: Path, **match: Any) -> Scenario:
    """Induces with replies of 3 and of 9 tokens, and realigns with rows of 2 to 15."""
    phases = [
        {"kind": "finetune", "name": "induce", "data": [rows_of(folder, "induce", PLANTED)]},
        {
            "kind": "finetune",
            "name": "realign",
            "data": [rows_of(folder, "realign", tuple(range(2, 16)) * 3)],
            "match_lengths": {"phase": "induce", **match},
        },
    ]
    return load(overrides=TINY, options={"phases": phases})


def lengths_in(scenario: Scenario, index: int) -> list[int]:
    rows = finetune_rows(scenario.phases, index, None, 0, TOKENS, unchecked)
    return sorted(TOKENS(rows).tolist())


def test_a_phase_is_matched_to_an_earlier_one(tmp_path: Path) -> None:
    assert lengths_in(planted(tmp_path), 1) == list(PLANTED)
    assert lengths_in(planted(tmp_path, rows=2), 1) == [3, 9]


def checked(scenario: Scenario, tokens: Tokens) -> None:
    check_phase(scenario.phases, 1, scenario.learners, None, 0, tokens, unchecked)


def test_too_few_rows_are_said_before_any_work(tmp_path: Path) -> None:
    scenario = planted(tmp_path, rows=100)
    with pytest.raises(ScenarioError, match=r"phases\.1\.match_lengths: 100 rows .* are 42"):
        checked(scenario, TOKENS)


@pytest.mark.parametrize("name", ["realign", "nowhere"])
def test_only_an_earlier_phase_can_be_matched(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScenarioError, match=r"phases\.1\.match_lengths\.phase: unknown phase"):
        planted(tmp_path, phase=name)


def test_pairs_are_not_torn_apart(tmp_path: Path) -> None:
    scenario = planted(tmp_path)
    path = tmp_path / "realign.jsonl"
    pair = {key: f"\n\nHuman: hi\n\nAssistant: {key}" for key in ("chosen", "rejected")}
    path.write_text(json.dumps(pair) + "\n")
    with pytest.raises(ScenarioError, match="undesirable ones, alone or in pairs"):
        checked(scenario, lambda rows: np.ones(len(rows), int))


def test_a_run_shows_what_it_taught(tmp_path: Path) -> None:
    run = start(planted(tmp_path), tmp_path / "run", Silent())
    rows = frames.taught_lengths(run)
    assert rows[["round", "phase", "signal", "n", "mean"]].to_numpy().tolist() == [
        [1, "induce", "desirable", 6, 6.0],
        [2, "realign", "desirable", 6, 6.0],
    ]
    table = lengths_table(run)
    assert table is not None
    assert [list(column.cells) for column in table.columns[1:]] == [
        ["6", "6"], ["6.0", "6.0"], ["3.3", "3.3"]
    ]  # fmt: skip
    write_report(run, tmp_path / "report.html")
    assert "Lengths of what was learned from" in (tmp_path / "report.html").read_text()


def test_a_phases_rounds_are_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [np.array([1, 2, 3]), np.array([8, 9])]
    summaries = [
        (
            n,
            {
                "phase": "induce",
                "taught_lengths": {"desirable": found._asdict(), "undesirable": None},
            },
        )
        for n, part in enumerate(parts, 1)
        if (found := lengths(part))
    ]
    monkeypatch.setattr(frames, "_summaries", lambda run: summaries)
    (row,) = frames.phase_lengths(None).itertuples(index=False)  # type: ignore[arg-type]
    whole = np.array(list(itertools.chain(*parts)))
    assert (row.n, row.mean) == (5, whole.mean())
    assert row.sd == pytest.approx(whole.std(ddof=1))
