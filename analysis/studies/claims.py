"""A study: a sweep, and the findings of a paper that it tests.

studies/<name>/sweep.json     the runs, as of every sweep
studies/<name>/claims.json    question, source and findings, and how many of these runs had begun
                              when they were written down: none, unless they were changed
studies/<name>/study.json     the results; study.md, study.html: the same to read
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from analysis.studies.findings import AnyFinding, Finding, Holds, Verdict, judged
from analysis.studies.quantities import Results
from analysis.studies.recommendation import Choice, Recommendation
from simulator.core.config import Config, Count, Many
from simulator.core.errors import StoreError
from simulator.core.files import write_atomically
from simulator.store.sweep import Sweep

CLAIMS = "claims.json"
ANSWERS: dict[Holds, str] = {
    "yes": "Yes",
    "yes, in one run": "In one run, yes",
    "opposite": "No, the opposite",
    "opposite, in one run": "In one run, the opposite",
    "not shown": "Not shown",
    "not measured": "Not measured",
}


class Claims(Config):
    """The question of a study, and the findings that it tests."""

    title: str = Field(min_length=1)
    source: str = Field(min_length=1, description="The paper.")
    question: str = Field(min_length=1)
    answered_by: Count = Field(
        1,
        ge=1,
        le=1_000,
        description="The first n findings answer the question: yes if all of them hold.",
    )
    findings: Many[AnyFinding] = Field(min_length=1)
    recommendation: Recommendation | None = Field(
        None, description="How to choose an arm; empty: there is no choice."
    )


class Study(NamedTuple):
    """A study as it is on disk."""

    claims: Claims
    command: str  # the command that made it
    sweep: Sweep
    declared_after: int | None = 0  # number of runs that had begun before; None: unknown

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.sweep.path

    @classmethod
    def declare(cls, claims: Claims, command: str, sweep: Sweep) -> "Study":
        """Write the claims beside the sweep, usually before its runs.

        Existing claims that decide by the same comparisons keep their date.
        """
        study = cls(claims, command, sweep, _declared_after(claims, sweep))
        study._write()
        return study

    def _write(self) -> None:
        dated = {"command": self.command, "declared_after": self.declared_after}
        content = {**dated, **self.claims.model_dump(mode="json")}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path / CLAIMS, text.encode())

    @classmethod
    def open(cls, path: Path) -> "Study":
        """Open a study's folder.

        Raises:
            StoreError: it isn't one.
        """
        sweep = Sweep.open(path)
        try:
            content = json.loads((path / CLAIMS).read_text(encoding="utf-8"))
            command, after = str(content.pop("command")), content.pop("declared_after", None)
            if not isinstance(after, int | None):
                raise ValueError("declared_after")
            return cls(Claims.model_validate(content), command, sweep, after)
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise StoreError(f"{path}: not a study (its {CLAIMS} can't be read)") from None

    @staticmethod
    def is_at(path: Path) -> bool:
        """Return whether there is a study at `path`."""
        return (path / CLAIMS).is_file()


def _declared_after(claims: Claims, sweep: Sweep) -> int | None:
    """Return the number of runs that had begun when equally deciding claims were written."""
    try:
        before = Study.open(sweep.path)
    except StoreError:  # there are none, or they can't be read
        before = None
    if before and _decisive(before.claims) == _decisive(claims):
        return before.declared_after
    return sum(member.rounds_done >= 0 for member in sweep.members)


def _decisive(claims: Claims) -> list[dict[str, Any]]:
    """Return the parts of the claims that decide the results, without their wording."""
    words = {"claim", "reported"}
    asked = claims.recommendation
    return [
        *(finding.model_dump(mode="json", exclude=words) for finding in claims.findings),
        asked.model_dump(mode="json") if asked else {},
        {"answered_by": claims.answered_by},
    ]


class Line(NamedTuple):
    """A finding and its verdict."""

    finding: Finding
    verdict: Verdict


class Outcome(NamedTuple):
    """The results of a study."""

    lines: list[Line]  # of every finding, in order
    choices: list[Choice]  # the best first; empty without a recommendation
    advice: str


def judge(study: Study) -> Outcome:
    """Judge every finding by the finished runs."""
    results, asked = Results(study.sweep), study.claims.recommendation
    lines = [Line(finding, judged(finding, results)) for finding in study.claims.findings]
    choices = asked.ranked(results) if asked else []
    return Outcome(lines, choices, asked.advice(results, choices) if asked else "")


def answer(study: Study, outcome: Outcome) -> str:
    """Return the answer to the question, the number of findings that hold, and the advice."""
    asked = _answered(outcome.lines[: study.claims.answered_by])
    return f"{study.claims.question} {asked}. {_tally(outcome.lines)} {outcome.advice}".strip()


def _answered(lines: list[Line]) -> str:
    """Return the answer by the findings that decide the question."""
    verdicts = [line.verdict for line in lines]
    reasons = [v.note if v.holds == "not measured" else v.measured for v in verdicts]
    if len(verdicts) == 1:
        return f"{ANSWERS[verdicts[0].holds]}: {reasons[0]}"
    found = {verdict.holds for verdict in verdicts}
    same = len(found) == 1
    each = [
        f"({n}) {'' if same else f'{verdict.holds}, '}{reason}"
        for n, (verdict, reason) in enumerate(zip(verdicts, reasons, strict=True), 1)
    ]
    return f"{ANSWERS[verdicts[0].holds] if same else _in_part(found)}: {'; '.join(each)}"


def _in_part(found: set[Holds]) -> str:
    """Return the answer by findings with different verdicts."""
    hold = {"yes", "yes, in one run"}
    if found <= hold:
        return "Yes, some of it in one run"
    return "In part" if found & hold else "None of it is shown"


def _tally(lines: list[Line]) -> str:
    """Return the number of findings by verdict."""
    counts = {holds: sum(line.verdict.holds == holds for line in lines) for holds in ANSWERS}
    words = {
        holds: holds.replace("yes", "holds" if counts[holds] == 1 else "hold").replace(
            ", in", " in"
        )
        for holds in ANSWERS
    }
    parts = [f"{counts[holds]} {words[holds]}" for holds in ANSWERS if counts[holds]]
    whole = f"{len(lines)} finding{'s' if len(lines) > 1 else ''}"
    return f"Of {whole}: {', '.join(parts)}."
