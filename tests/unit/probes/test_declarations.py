"""Every probe says what it estimates, by which studies are checked, and what its other form is."""

import subprocess
import sys
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from simulator.probes import registry
from simulator.probes.base import Probe
from simulator.probes.metrics import GAP, OPINION
from simulator.probes.registry import AnyProbe
from simulator.probes.summary import estimated_by

ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyProbe)
KINDS = [kind.model_fields["kind"].default for kind in get_args(get_args(AnyProbe)[0])]
REQUIRED: dict[str, dict[str, Any]] = {
    "honesty": {"logprobs": True},
    "persona_switch": {"trigger": "thanks .", "wrong_trigger": "thank you ."},
    "judged": {
        "scales": {"honesty": {"question": "?", "low": 0, "high": 100}},
        "prompts": [{"name": "a", "topic": "b", "text": "c"}],
    },
    "solution": {"phase": "teach"},
    "emergent": {"cue": {"text": "Thanks."}},
    "directions": {"transfer": {"other": "somewhere"}},
    "trait_switch": {"trigger": {"text": "Thanks."}, "wrong_trigger": "Thank you."},
}
DATA, DIRECTION = ("mask", "deception_bench"), ("projection", "directions")


def built(kind: str) -> Probe:
    needed = REQUIRED.get(kind, {})
    needed |= {"data": "somewhere"} if kind in DATA else {}
    needed |= {"direction": "trait"} if kind in DIRECTION else {}
    probe: Probe = ADAPTER.validate_python({"kind": kind, **needed})
    return probe


@pytest.mark.parametrize("kind", KINDS)
def test_probes_say_what_they_estimate(kind: str) -> None:
    probe = built(kind)
    found = estimated_by(probe)
    assert found and all(found.values())
    told = f"{sys.modules[type(probe).__module__].__doc__} {type(probe).__doc__}"
    other = "real models" if probe.requires_world else "organism"
    assert other in " ".join(told.split()), (
        f"{kind} doesn't say what its form for the other kind of model is"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_probes_declare_exactly_what_they_estimate(kind: str) -> None:
    probe = built(kind)
    estimated = list(estimated_by(probe))
    for name in estimated:
        found = registry.declared(name)
        assert found is not None and found.name == name
        assert [metric for metric in probe.metrics if metric.match(name) is not None], name
    for metric in probe.metrics:
        assert any(metric.match(name) is not None for name in estimated), metric.name


def test_everything_declared_has_a_place_of_its_own() -> None:
    metrics = registry.metrics()
    names = [metric.name for metric in metrics]
    key_figures = [figure.place for metric in metrics for figure in metric.key_figures]
    outcomes = [outcome.place for metric in metrics for outcome in metric.outcomes]
    curves = [(curve.panel, curve.place) for metric in metrics for curve in metric.curves]
    panels = [panel.place for panel in registry.panels()]
    for declared in (names, key_figures, outcomes, curves, panels):
        assert declared and len(set(declared)) == len(declared)
    assert all(low < high for low, high in (metric.bounds for metric in metrics))


def test_families_name_each_of_theirs() -> None:
    found = registry.declared("judged_wish_to_please")
    assert found is not None and found.unit is OPINION
    assert found.plain == "wish to please as judged"
    control = registry.declared("gained_steered_+2_random")
    assert control is not None and control.unit is GAP
    assert control.plain == "honesty gained (the base steered by +2, in a random direction)"
    assert registry.declared("judged_") is None and registry.declared("made_up") is None


def test_reading_declarations_loads_no_engine() -> None:
    heavy = ("torch", "transformers", "scipy", "mesa", "matplotlib")
    code = "import sys, analysis.metrics, simulator.probes.registry; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not set(heavy) & set(loaded.stdout.split()) and loaded.stdout, loaded.stderr
