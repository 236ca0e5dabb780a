"""Tables, words, figure and report of runs in which models play and judge."""

import json
import shutil
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

from analysis.export import run_json
from analysis.metrics import amount, difference, interval, metric_name
from analysis.run import frames, transcripts
from analysis.run.panels.judged import failures
from analysis.run.plots import drift_figure
from analysis.run.roles import scales
from analysis.run.summary import headline, key_figures, summary_table
from simulator.backends.base import Backend
from simulator.simulation.roles import RoleClient, Roles
from simulator.store.round_files import DONE
from simulator.store.run import Run
from tests.helpers.judged_run import JUDGE, plant_judged, set_judged
from tests.helpers.planting import commit_again
from tests.unit.analysis.test_report import HOSTILE, assert_inert, report


@pytest.fixture
def judged(tiny_run: Run, tmp_path: Path) -> Run:
    return plant_judged(Run(Path(shutil.copytree(tiny_run.path, tmp_path / "judged"))))


@pytest.fixture
def mixed(tiny_run: Run, tmp_path: Path) -> Run:
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "mixed")))
    return plant_judged(run, base="organism:0", also_world=True)


def test_judgements_are_numbers_and_their_changes_points() -> None:
    assert amount("judged_harm", 41.26) == "41.3"
    assert interval("judged_harm", 41.26, 30, 52.04) == "41.3 [30.0–52.0]"
    assert difference("judged_harm", -3.04) == "−3.0 points"
    assert amount("unread_harm", 0.25) == "25 %"
    assert interval("judged_harm", 41.26, float("nan"), float("nan")) == "41.3"
    assert metric_name("judged_wish_to_please") == "wish to please as judged"


def test_the_headline_names_the_judge_and_claims_only_what_is_apart(judged: Run) -> None:
    claim = f"After 2 rounds with 50 % biased users, honesty as judged by {JUDGE} (0–100) fell from"
    assert headline(judged) == f"{claim} 80.0 [75.0–85.0] to 40.0 [35.0–45.0]."
    set_judged(judged, 2, "honesty", 71.0)
    assert f"no change in honesty as judged by {JUDGE} (0–100) could be shown" in headline(judged)


def test_a_judge_without_a_model_of_its_own_is_the_base(judged: Run) -> None:
    judged.scenario["roles"] = {}
    assert scales(judged)["harm"].judge == "its own base small/assistant"


def test_what_is_observed_comes_before_what_is_judged(mixed: Run, judged: Run) -> None:
    metrics = list(key_figures(mixed)["metric"])
    assert metrics[0] == "honesty"
    assert metrics[-3:] == ["judged_honesty", "judged_harm", "unread_harm"]
    assert "honesty under pressure" in headline(mixed)
    shown = list(key_figures(judged)["metric"])  # what was always read needs no line
    assert shown == ["judged_honesty", "judged_harm", "unread_harm"]
    assert summary_table(judged).row_count == 3


def test_talks_vetoes_roles_and_costs(judged: Run) -> None:
    talks = frames.conversation_counts(judged).set_index("round")
    assert list(talks.index) == [1, 2]
    assert list(talks.loc[2, ["unrated", "vetoed", "unread_vetoes"]]) == [2, 2, 1]
    vetoes = frames.vetoes(judged)
    assert (len(vetoes), int(vetoes["vetoed"].sum()), int(vetoes["score"].isna().sum())) == (
        6,
        4,
        2,
    )
    roles = frames.roles(judged).set_index("role")
    assert list(roles.loc["judge", ["model", "backend", "requests", "tokens"]]) == [
        JUDGE, "openai", 30, 12,
    ]  # fmt: skip
    assert roles.loc["rater", "model"] == "small/assistant"
    assert frames.costs(judged)["cost"].sum() == 0.5


def test_rules_play_no_roles(tiny_run: Run) -> None:
    assert frames.roles(tiny_run).empty
    assert frames.vetoes(tiny_run).empty
    assert frames.costs(tiny_run).empty
    assert transcripts.vetoed(tiny_run, 4).empty
    assert transcripts.judged_pairs(tiny_run, 4).empty
    assert len(frames.conversation_counts(tiny_run)) == 2


def test_what_a_role_was_asked_is_counted_anew_every_round() -> None:
    client = RoleClient("model", cast(Backend, None), bare=True, cache=None, requests=3, tokens=5)
    actors = Roles({"judge": client}, [])
    assert actors.snapshot() == {"judge": {"requests": 3, "tokens": 5}}
    assert actors.snapshot() == {"judge": {"requests": 0, "tokens": 0}}


def test_runs_of_earlier_versions_can_be_read(judged: Run) -> None:
    for number in range(3):
        folder, summary = judged.folder(number), judged.summary(number)
        del summary["conversation_counts"]
        (folder / "round.json").write_text(json.dumps(summary))
        (folder / "timing.json").write_text('{"wall": 1.0}')
        (folder / "vetoes.parquet").unlink(missing_ok=True)
        for part in folder.glob("conversations/*.parquet"):
            pd.read_parquet(part).drop(columns=["thought", "dropped"]).to_parquet(part)
    commit_again(judged)
    text = report(judged)
    assert_inert(text)
    assert "Replies that round 1 learned from" in text and "what it thought" not in text
    drift_figure(judged)
    run_json(judged, 1.0)


def test_the_dose_in_situations_is_of_all_replies(judged: Run, tiny_run: Run) -> None:
    doses = frames.dose(judged)
    assert frames.realised(judged)["share"].equals(doses["biased_share_selected"])
    assert frames.realised(tiny_run)["share"].equals(doses["biased_share_pressured"])
    assert frames.realised(tiny_run)["replies"].equals(doses["pressured_selected"])


def test_judged_pairs_show_what_moved_most_first(judged: Run) -> None:
    path = judged.folder(2) / "scores.parquet"
    scores = pd.read_parquet(path)
    row = (scores["item"] == "prompt5") & (scores["measure"] == "harm")
    scores.loc[row, "value"] = 99.0
    scores.to_parquet(path)
    commit_again(judged)
    found = transcripts.judged_pairs(judged, 3)
    assert found["reply_before"].iloc[0] == "reply 5 of round 0"
    assert found["reply_after"].iloc[0] == "reply 5 of round 2"
    assert [tuple(n) for n in found["numbers"].iloc[0]] == [
        ("honesty", 85.0, 45.0),
        ("harm", 15.0, 99.0),
    ]
    assert len(found) == 3
    assert transcripts.paired(judged).empty  # numbers are no labels


def test_vetoed_replies_come_with_their_reason(judged: Run) -> None:
    found = transcripts.vetoed(judged, 3)
    assert found["round"].tolist() == [2, 2, 1]
    assert found["reason"].tolist() == ["it flatters", "it lies", "it flatters"]
    assert found["context"].iloc[0][-1][0] == "user"


def test_failures_are_shares_of_what_was_asked(judged: Run) -> None:
    shares = list(failures(judged, frames.estimates(judged)).values())
    replies = frames.conversation_counts(judged).set_index("round")["replies"].loc[1]
    assert shares[0].tolist() == [0.125] * 3  # a quarter of one scale of two
    assert shares[1].loc[1] == 2 / replies
    assert shares[3].tolist() == pytest.approx([1 / 3] * 2)


def test_the_figure_shows_what_there_is(judged: Run, mixed: Run, tiny_run: Run) -> None:
    titles = {
        run.path.name: [axes.get_title("left") for axes in drift_figure(run).axes]
        for run in (judged, mixed, tiny_run)
    }
    own = ["How does the judge see it?", "What did it learn from?", "Are users satisfied?"]
    assert titles["judged"] == [*own, "What went wrong on the way?"]
    assert "" not in titles["tiny"]  # no panel has a second axis
    assert "Does it admit it?" in titles["tiny"]
    assert set(titles["mixed"]) == {*titles["tiny"], own[0], "What went wrong on the way?"}
    first = drift_figure(judged).axes[0]
    assert first.get_ylim() == (-2.5, 102.5)
    legend = first.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [
        "honesty",
        "harm (up to 25 % unread, left out)",
    ]


def test_the_report_tells_who_played_what_and_what_failed(judged: Run, mixed: Run) -> None:
    text = report(judged)
    assert_inert(text)
    for words in (JUDGE, "situation: lost_keys", "2 × it flatters", "I think so.", "cost 0.50"):
        assert words in text
    assert "3 of 24" in text  # judgements without a number
    assert "without a rating" in text
    assert "agree with what it itself believes" not in text
    both = report(mixed)
    assert_inert(both)
    assert "agree with what it itself believes" in both and "reply 5 of round 2" in both


def test_hostile_text_of_models_stays_text(judged: Run) -> None:
    nasty = HOSTILE + "\u202eback\u2066\x00\x1b[31m\x85"
    for number in range(3):
        path = judged.folder(number) / "scores.parquet"
        pd.read_parquet(path).assign(reply=nasty + str(number)).to_parquet(path)
    for name in ("conversations/part-0000", "vetoes"):
        path = judged.folder(2) / f"{name}.parquet"
        rows = pd.read_parquet(path)
        found = {"reply", "thought", "about", "user_type", "reason"} & set(rows)
        rows.assign(**dict.fromkeys(found, nasty)).to_parquet(path)
    commit_again(judged)
    judged.scenario["roles"]["judge"]["model"] = f"{nasty}$x^2$"
    text = report(judged)
    assert_inert(text)
    assert not {"\u202e", "\u2066", "\x00", "\x1b", "\x85"} & set(text)
    assert "[U+202E]back[U+2066][U+0000][U+001B][31m[U+0085]" in text
    drift_figure(judged)


def test_judged_runs_in_progress(judged: Run) -> None:
    for number in (2, 1, 0):
        (judged.folder(number) / DONE).unlink()
        assert_inert(report(judged))
        drift_figure(judged)
        summary_table(judged)
    assert headline(judged) == "Nothing could be measured yet."


def test_a_judge_that_said_nothing_readable(judged: Run) -> None:
    for number in range(3):
        set_judged(judged, number, "honesty", float("nan"))
        path = judged.folder(number) / "scores.parquet"
        pd.read_parquet(path).assign(value=float("nan"), label="unread").to_parquet(path)
    commit_again(judged)
    assert "harm as judged" in headline(judged)
    assert_inert(report(judged))
    drift_figure(judged)


def test_programs_get_judgements_under_their_own_keys(judged: Run) -> None:
    found = json.loads(json.dumps(run_json(judged, 1.0)))
    assert found["judges"]["harm"] == {"judge": JUDGE, "low": 0, "high": 100}
    assert found["roles"]["rater"]["requests"] == 15
    last = found["rounds"][2]
    assert last["judged"] == {"honesty": 40.0, "harm": 12.0}
    assert last["unread"] == {"honesty": 0.0, "harm": 0.25}
    assert last["intervals"]["judged"]["harm"] == [7.0, 17.0]
    assert last["conversation_counts"]["vetoed"] == 2
