"""A study: a sweep, and the findings of a paper that it is held against.

studies/<name>/sweep.json     the runs, as of every sweep
studies/<name>/claims.json    question, source and findings, and how many of these runs had begun
                              when they were written down: none, unless they were changed
studies/<name>/study.json     what was found; study.md, study.html: the same for people
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from analysis.studies.findings import AnyFinding, Finding, Holds, Verdict, judged
from analysis.studies.quantities import Results
from analysis.studies.recommendation import Choice, Recommendation
from simulator.core.config import Config, Count
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
    """What a study asks, and what others have reported."""

    title: str = Field(min_length=1)
    source: str = Field(min_length=1, description="The paper.")
    question: str = Field(min_length=1)
    answered_by: Count = Field(
        1, ge=1, description="So many findings, the first ones, answer it: yes if all of them hold."
    )
    findings: tuple[AnyFinding, ...] = Field(min_length=1)
    recommendation: Recommendation | None = Field(
        None, description="Empty: nothing is to be chosen."
    )


class Study(NamedTuple):
    """A study as it is on disk."""

    claims: Claims
    command: str  # that made it
    sweep: Sweep
    declared_after: int | None = 0  # so many runs could be looked at before; None: not known

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.sweep.path

    @classmethod
    def declare(cls, claims: Claims, command: str, sweep: Sweep) -> "Study":
        """Write down what is claimed beside the sweep: before its runs, if it is called then.

        Claims that are there already, and decide by the same comparisons, keep their date.
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
            return cls(Claims.model_validate(content), command, sweep, after)
        except (OSError, ValueError, KeyError, ValidationError):
            raise StoreError(f"{path}: not a study (its {CLAIMS} can't be read)") from None

    @staticmethod
    def is_at(path: Path) -> bool:
        """Is there a study at `path`?"""
        return (path / CLAIMS).is_file()


def _declared_after(claims: Claims, sweep: Sweep) -> int | None:
    """Return how many runs had begun when claims that decide alike were written down."""
    try:
        before = Study.open(sweep.path)
    except StoreError:  # none were, or they can't be read
        before = None
    if before and _decisive(before.claims) == _decisive(claims):
        return before.declared_after
    return sum(member.rounds_done >= 0 for member in sweep.members)


def _decisive(claims: Claims) -> list[dict[str, Any]]:
    """Return what decides the findings, the answer and the recommendation, without its words."""
    words = {"claim", "reported"}
    asked = claims.recommendation
    return [
        *(finding.model_dump(mode="json", exclude=words) for finding in claims.findings),
        asked.model_dump(mode="json") if asked else {},
        {"answered_by": claims.answered_by},
    ]


class Line(NamedTuple):
    """A finding and what became of it."""

    finding: Finding
    verdict: Verdict


class Outcome(NamedTuple):
    """What a study found."""

    lines: list[Line]  # of every finding, in order
    choices: list[Choice]  # the best first; none where nothing is to be chosen
    advice: str


def judge(study: Study) -> Outcome:
    """Hold the runs that are finished against every finding."""
    results, asked = Results(study.sweep), study.claims.recommendation
    lines = [Line(finding, judged(finding, results)) for finding in study.claims.findings]
    choices = asked.ranked(results) if asked else []
    return Outcome(lines, choices, asked.told(results, choices) if asked else "")


def answer(study: Study, outcome: Outcome) -> str:
    """Answer the question: by the first findings, how many hold in all, and what is advised."""
    asked = _answered(outcome.lines[: study.claims.answered_by])
    return f"{study.claims.question} {asked}. {_tally(outcome.lines)} {outcome.advice}".strip()


def _answered(lines: list[Line]) -> str:
    """Say what became of the findings that the question is about."""
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
    """Answer a question by findings of which different things became."""
    hold = {"yes", "yes, in one run"}
    if found <= hold:
        return "Yes, some of it in one run"
    return "In part" if found & hold else "None of it is shown"


def _tally(lines: list[Line]) -> str:
    """Say how many findings hold, and what became of the others."""
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
