"""A run records by which chat template each of its models is asked."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.experiments.run import manifest_of
from simulator.models.chat_template import encoder_of
from simulator.models.reference import TEMPLATE_DATE


def test_the_manifest_names_the_template_its_hash_and_its_date() -> None:
    scenario = load()
    template = encoder_of(scenario.assistant_ref).tokenizer.chat_template
    digest = hashlib.sha256(str(template).encode()).hexdigest()
    assert manifest_of(scenario)["chat_templates"] == {
        "assistant": {"name": "model", "sha256": digest, "date": TEMPLATE_DATE}
    }


def test_roles_have_their_own_and_endpoints_none(tiny: Callable[..., str], tmp_path: Path) -> None:
    base = Path(tiny("qwen2"))
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in base.iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).symlink_to(file)
    scenario = load(
        "therapy",
        overrides=(
            f"model={base}",
            f"roles.user={{model: {bare}, backend: {{kind: transformers}}}}",
            "roles.judge={model: a, backend: {kind: openai, url: 'http://127.0.0.1:9/v1'}}",
            "template_date=2024-07-26",
        ),
    )
    found = manifest_of(scenario)["chat_templates"]
    assert {name: (one["name"], one["date"]) for name, one in found.items()} == {
        "assistant": ("model", "2024-07-26"),
        "user": ("plain", "2024-07-26"),
    }


def test_a_date_that_is_none_is_refused() -> None:
    for text in ("soon", "2024-13-01"):
        with pytest.raises(ScenarioError, match="template_date: invalid date"):
            load(overrides=(f"template_date={text}",))
