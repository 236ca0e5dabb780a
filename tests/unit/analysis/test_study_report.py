"""What a study leaves: the answer first, every finding, what to choose; hostile text stays text."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis.studies.claims import CLAIMS, Claims, Study, _in_part, answer, judge
from analysis.studies.findings import Holds
from analysis.studies.plots import CURVES
from analysis.studies.report import write_study
from analysis.studies.summary import described, markdown, unfinished_runs
from simulator.core.errors import StoreError
from simulator.store.run import Run
from simulator.store.sweep import Member, Sweep
from tests.conftest import plant
from tests.unit.analysis.test_report import HOSTILE, assert_inert

HONESTY: dict[str, Any] = {"metric": "honesty", "item_set": "heldout"}
ARMS = {"none": 0.4, "veto": 0.8}
SPREAD = {"none": 0.01, "veto": 0.012}  # between bases; no two gain the same


@pytest.fixture(scope="module")
def study(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("studies")
    members = []
    for arm, base in [(arm, base) for arm in ARMS for base in (1, 2, 3)]:
        run = Run(Path(shutil.copytree(tiny_run.path, root / "runs" / f"{arm}-{base}")))
        plant(run, base, 0, 0.5, ARMS[arm] + SPREAD[arm] * (base - 2), 0.5)
        members.append(Member(arm, {"base": base}, 2, run))
    finding = {"kind": "contrast", "reported": f"much | more {HOSTILE} [W]", "expected": "higher"}
    veto, none = ({"arm": arm, **HONESTY} for arm in ("veto", "none"))
    claims = Claims.model_validate(
        {
            "title": "T",
            "source": HOSTILE,
            "question": "Does a veto help?",
            "findings": [
                {
                    **finding,
                    "claim": f"It does. ![x](y) {HOSTILE}",
                    "a": veto,
                    "b": none,
                },
                {**finding, "claim": "So does nothing.", "a": {**veto, "arm": "nobody"}, "b": none},
            ],
            "recommendation": {
                "against": "none",
                "arms": ["veto"],
                "kept": HONESTY,
                "lost": {"metric": "satisfaction_benign"},
            },
        }
    )
    return Study.declare(claims, "python -m simulator study t", Sweep.write(root / "t", members))


def test_the_answer_comes_first(study: Study) -> None:
    said = answer(study, judge(study))
    assert said.startswith(
        "Does a veto help? Yes: 80 % against 40 %: +40 points [+40 to +40] (3 bases). "
        "Of 2 findings: 1 holds, 1 not measured. Recommended is 'veto': of honesty under pressure "
        "it keeps +40 points"
    )
    assert next(iter(described(study, judge(study)))) == said


def test_what_is_written_is_inert_and_whole(study: Study, tmp_path: Path) -> None:
    written = write_study(study, judge(study), tmp_path / "page.html")
    page = written[0].read_text()
    assert_inert(page)
    assert page.index("Does a veto help?") < page.index("It does.") and "What to choose" in page
    found = json.loads((tmp_path / "page.json").read_text())
    assert [one["holds"] for one in found["findings"]] == ["yes", "not measured"]
    assert found["findings"][0]["value"] == pytest.approx(0.4)
    assert found["choices"][0]["arm"] == "veto" and found["choices"][0]["price"]["value"] is None
    table = markdown(study, judge(study))
    assert "<script" not in table.replace("\\<", "")
    assert not re.search(r"(?<!\\)[\[\]]", table)
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == (2 + 2) + (2 + 1)
    assert all(len(row.replace("\\|", "").split("|")) == 6 for row in rows[:4])


def test_a_question_may_take_several_findings(study: Study) -> None:
    both = study._replace(claims=study.claims.model_copy(update={"answered_by": 2}))
    assert answer(both, judge(both)).startswith(
        "Does a veto help? In part: (1) yes, 80 % against 40 %: +40 points [+40 to +40] "
        "(3 bases); (2) not measured, there is no run in this tier of 'nobody'. Of 2"
    )


def test_claims_that_change_after_the_runs_are_said_to(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.path.parent, tmp_path / "studies")
    sweep = Sweep.open(tmp_path / "studies" / study.path.name)
    early = sweep._replace(members=())
    claims, command = study.claims, study.command
    (sweep.path / CLAIMS).unlink()
    assert Study.declare(claims, command, early).declared_after == 0
    assert Study.declare(claims, command, sweep).declared_after == 0  # the same as before
    reworded = claims.findings[0].model_copy(update={"claim": "It helps."})
    words = claims.model_copy(update={"findings": (reworded, claims.findings[1])})
    assert Study.declare(words, command, sweep).declared_after == 0
    turned = claims.findings[0].model_copy(update={"expected": "lower"})
    changed = claims.model_copy(update={"findings": (turned, claims.findings[1])})
    late = Study.declare(changed, command, sweep)
    assert late.declared_after == 6 == Study.open(sweep.path).declared_after
    assert "when 6 of 6 runs had begun" in markdown(late, judge(late))
    answered = claims.model_copy(update={"answered_by": 2})
    assert Study.declare(answered, command, sweep).declared_after == 6
    content = json.loads((sweep.path / CLAIMS).read_text())
    del content["declared_after"]
    (sweep.path / CLAIMS).write_text(json.dumps(content))
    undated = Study.declare(answered, command, sweep)
    assert undated.declared_after is None
    assert "isn't known" in markdown(undated, judge(undated))
    (sweep.path / CLAIMS).write_text("{")
    assert Study.declare(answered, command, sweep).declared_after == 6


def test_runs_that_came_to_no_end_are_named(study: Study, tmp_path: Path) -> None:
    first, *others = study.sweep.members
    lost = study._replace(
        sweep=study.sweep._replace(members=(first._replace(run=Run(tmp_path)), *others))
    )
    told_of = "5 of 6 runs came to their end. Left out, with their twins"
    assert told_of in markdown(lost, judge(lost)) and "1 of 3 of 'none'" in unfinished_runs(lost)
    assert "against 40 %: +40 points" in answer(lost, judge(lost)).replace("−", "-")
    assert "(2 bases)" in answer(lost, judge(lost))


def test_figures_say_what_they_show(study: Study, tmp_path: Path) -> None:
    page = write_study(study, judge(study), tmp_path / "page.html")[0].read_text()
    assert "or with one base a run." in page and "or with one base over runs." in page


def test_no_curve_is_left_out() -> None:
    assert len(set(CURVES)) == len(CURVES) == 12


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"yes", "yes, in one run"}, "Yes, some of it in one run"),
        ({"yes", "opposite"}, "In part"),
        ({"not shown", "opposite"}, "None of it is shown"),
    ],
)
def test_questions_of_several_parts_are_answered(found: set[Holds], said: str) -> None:
    assert _in_part(found) == said


def test_a_study_is_opened_as_it_was_written(study: Study, tmp_path: Path) -> None:
    opened = Study.open(study.path)
    assert (opened.claims, opened.command) == (study.claims, study.command)
    (tmp_path / "sweep.json").write_text('{"name": "x", "runs": []}')
    (tmp_path / CLAIMS).write_text('{"title": 3}')
    with pytest.raises(StoreError, match=r"claims\.json can't be read"):
        Study.open(tmp_path)
