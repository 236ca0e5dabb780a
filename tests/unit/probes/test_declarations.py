"""Every probe says what it estimates, by which studies are checked, and what its other form is."""

import sys
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from simulator.probes.base import Probe
from simulator.probes.registry import AnyProbe
from simulator.probes.summary import estimated_by

ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyProbe)
KINDS = [kind.model_fields["kind"].default for kind in get_args(get_args(AnyProbe)[0])]
REQUIRED: dict[str, dict[str, Any]] = {
    "persona_switch": {"trigger": "thanks .", "wrong_trigger": "thank you ."},
    "judged": {
        "scales": {"honesty": {"question": "?", "low": 0, "high": 100}},
        "prompts": [{"name": "a", "topic": "b", "text": "c"}],
    },
    "solution": {"phase": "teach"},
    "trait_switch": {"trigger": {"text": "Thanks."}, "wrong_trigger": "Thank you."},
}
DATA, DIRECTION = ("mask", "deception_bench", "capability"), ("projection", "directions")


@pytest.mark.parametrize("kind", KINDS)
def test_probes_say_what_they_estimate(kind: str) -> None:
    needed = REQUIRED.get(kind, {})
    needed |= {"data": "somewhere"} if kind in DATA else {}
    needed |= {"direction": "trait"} if kind in DIRECTION else {}
    probe: Probe = ADAPTER.validate_python({"kind": kind, **needed})
    found = estimated_by(probe)
    assert found and all(found.values())
    told = f"{sys.modules[type(probe).__module__].__doc__} {type(probe).__doc__}"
    other = "real models" if probe.requires_world else "organism"
    assert other in " ".join(told.split()), (
        f"{kind} doesn't say what its form for the other kind of model is"
    )
