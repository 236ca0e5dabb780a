"""A study: a sweep, and the findings of a paper that it is held against.

studies/<name>/sweep.json     the runs, as of every sweep
studies/<name>/claims.json    question, source and findings, as declared before the runs
studies/<name>/study.json     what was found; study.md, study.html: the same for people
"""

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from analysis.findings import AnyFinding, Finding, Holds, Verdict, judged
from analysis.quantities import Results
from analysis.recommendation import Choice, Recommendation
from simulator.errors import StoreError
from simulator.settings import Settings
from simulator.store import write_atomically
from simulator.sweep_store import Sweep

CLAIMS = "claims.json"
ANSWERS: dict[Holds, str] = {
    "yes": "Yes",
    "opposite": "No, the opposite",
    "not shown": "Not shown",
    "not measured": "Not measured",
}


class Claims(Settings):
    """What a study asks, and what others have reported."""

    title: str = Field(min_length=1)
    source: str = Field(min_length=1, description="The paper.")
    question: str = Field(min_length=1, description="The first finding answers it.")
    findings: tuple[AnyFinding, ...] = Field(min_length=1)
    recommendation: Recommendation | None = Field(
        None, description="Empty: nothing is to be chosen."
    )


class Study(NamedTuple):
    """A study as it is on disk."""

    claims: Claims
    command: str  # that made it
    sweep: Sweep

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.sweep.path

    def write(self) -> None:
        """Writes what was declared beside the sweep."""
        content = {"command": self.command, **self.claims.model_dump(mode="json")}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path / CLAIMS, text.encode())

    @classmethod
    def open(cls, path: Path) -> "Study":
        """Opens a study's folder.

        Raises:
            StoreError: it isn't one.
        """
        sweep = Sweep.open(path)
        try:
            content = json.loads((path / CLAIMS).read_text(encoding="utf-8"))
            command = str(content.pop("command"))
            return cls(Claims.model_validate(content), command, sweep)
        except (OSError, ValueError, KeyError, ValidationError):
            raise StoreError(f"{path}: not a study (its {CLAIMS} can't be read)") from None

    @staticmethod
    def is_at(path: Path) -> bool:
        """Is there a study at `path`?"""
        return (path / CLAIMS).is_file()


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
    """Holds the runs that are finished against every finding."""
    results, asked = Results(study.sweep), study.claims.recommendation
    lines = [Line(finding, judged(finding, results)) for finding in study.claims.findings]
    choices = asked.ranked(results) if asked else []
    return Outcome(lines, choices, asked.told(results, choices) if asked else "")


def answer(study: Study, outcome: Outcome) -> str:
    """Answers the question: by the first finding, how many others hold, and what is advised."""
    verdict = outcome.lines[0].verdict
    why = verdict.note if verdict.holds == "not measured" else verdict.measured
    said = f"{study.claims.question} {ANSWERS[verdict.holds]}: {why}. {_tally(outcome.lines)}"
    return f"{said} {outcome.advice}".strip()


def _tally(lines: list[Line]) -> str:
    """Says how many findings hold, and what became of the others."""
    counts = {holds: sum(line.verdict.holds == holds for line in lines) for holds in ANSWERS}
    hold = "holds" if counts["yes"] == 1 else "hold"
    words = {holds: hold if holds == "yes" else holds for holds in ANSWERS}
    parts = [f"{counts[holds]} {words[holds]}" for holds in ANSWERS if counts[holds]]
    whole = f"{len(lines)} finding{'s' if len(lines) > 1 else ''}"
    return f"Of {whole}: {', '.join(parts)}."
