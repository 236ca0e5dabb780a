"""What is found in the rows of a scenario's data before it runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from simulator.config.phases import AnyPhase, FinetunePhase, LoopPhase, ProbePhase
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.core.rng import stream
from simulator.data.encoding_checks import Check, Seen, check_by, unchecked
from simulator.data.mixture import AnyData, FileData, mixed
from simulator.data.rows import Refused
from simulator.worlds.base import World

SHOWN = 5  # rows named in a sentence


class Findings(NamedTuple):
    """What is wrong with the data of a scenario, by their place in it."""

    mistakes: dict[str, tuple[str, ...]]
    left_out: dict[str, list[Refused]]
    shortened: dict[str, list[str]]  # origins of rows that lose their oldest messages

    def wrong(self, place: str) -> bool:
        """Return whether there is a mistake within a place of the scenario."""
        return any(path.startswith(place) for path in self.mistakes)

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows that are left out, by the place of their data."""
        return {path: len(rows) for path, rows in self.left_out.items()}

    @property
    def rows_left_out(self) -> list[dict[str, str]]:
        """The rows that are left out, and why."""
        return [
            {"data": path, "row": row.origin, "why": row.why}
            for path, rows in self.left_out.items()
            for row in rows
        ]

    @property
    def sentences(self) -> list[str]:
        """What to tell about data that can be used nevertheless."""
        return [
            *(
                f"{path}: left out {len(rows)} bad row{'s' * (len(rows) > 1)}: "
                f"{_some([str(row) for row in rows], '; ')}"
                for path, rows in self.left_out.items()
            ),
            *(
                f"{path}: {len(rows)} row{'s' * (len(rows) > 1)} longer than the model's context; "
                f"the oldest messages are dropped: {_some(rows, ', ')}"
                for path, rows in self.shortened.items()
            ),
        ]


def check_of(scenario: Scenario, *, local: bool = False) -> Check:
    """Return the check of examples by the scenario's assistant.

    Args:
        scenario: names the model.
        local: whether a model that isn't in a local folder stays unasked for.
    """
    model, backend = scenario.assistant_ref, scenario.backend
    if backend.kind == "openai" or (local and not Path(model.path).is_dir()):
        return unchecked
    return check_by(model, getattr(backend, "context", None))


def found_in_rows(
    scenario: Scenario, world: World | None, check: Check, *, triggers: bool
) -> Findings:
    """Read all data of phases and directions, and render every row of files.

    Args:
        scenario: names them.
        world: the organism's.
        check: says which examples the model can't read.
        triggers: whether the world's lessons with a trigger are rendered, too; others needn't be.
    """
    findings = Findings({}, {}, {})
    for path, source in _sources(scenario):
        try:
            if isinstance(source, FileData):
                _look_into(path, source, check, findings)
            else:
                lessons = mixed([source], world, stream("check", path), check)
                _try(check(lessons) if triggers and source.trigger else [])
        except ScenarioError as error:
            findings.mistakes[path] = error.within(path).mistakes
    return findings


def _look_into(path: str, source: FileData, check: Check, findings: Findings) -> None:
    found = source.read(check)
    source.drawn(found, stream("check", path))
    if found.refused:
        findings.left_out[path] = found.refused
    if found.shortened:
        findings.shortened[path] = found.shortened


def _try(seen: Sequence[Seen]) -> None:
    """Refuse a trigger that the model can't read."""
    if wrong := next((one.mistake for one in seen if one.mistake), ""):
        raise ScenarioError(f"trigger: {wrong}")


def _sources(scenario: Scenario) -> Iterator[tuple[str, AnyData]]:
    """Yield all data of phases and directions, with their paths."""
    for index, phase in enumerate(scenario.phases):
        yield from ((f"phases.{index}.{where}", source) for where, source in _of_phase(phase))
    for name, direction in scenario.directions.items():
        for side in ("positive", "negative"):
            for n, source in enumerate(getattr(direction, side)):
                yield f"directions.{name}.{side}.{n}", source


def _of_phase(phase: AnyPhase) -> Iterator[tuple[str, AnyData]]:
    if not isinstance(phase, ProbePhase):
        yield from ((f"anchors.{n}", source) for n, source in enumerate(phase.anchors))
    if isinstance(phase, FinetunePhase):
        yield from ((f"data.{n}", source) for n, source in enumerate(phase.data))
    if isinstance(phase, LoopPhase) and phase.static is not None:
        yield from ((f"static.data.{n}", source) for n, source in enumerate(phase.static.data))


def _some(names: list[str], between: str) -> str:
    more = len(names) - SHOWN
    return between.join([*names[:SHOWN], *([f"and {more} more"] if more > 0 else [])])
