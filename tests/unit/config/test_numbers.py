"""Numbers and texts in YAML: what is read as a number, and what is refused with its line."""

from pathlib import Path
from typing import Any

import pytest

from simulator.config import document
from simulator.config.document import parse
from simulator.config.loading import load
from simulator.config.numbers import as_number, as_whole_number
from simulator.core.errors import ScenarioError
from simulator.experiments.sweep_config import plan


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-5", 1e-5), ("1E-5", 1e-5), ("1e5", 1e5), ("1E+5", 1e5), ("1.5e3", 1500.0),
        ("2.e3", 2000.0), (".5e1", 5.0), ("-1e-5", -1e-5), ("-.5", -0.5), ("+.5", 0.5),
    ],
)  # fmt: skip
def test_numbers_that_yaml_takes_for_text(text: str, number: float) -> None:
    assert as_number(text) == number
    assert document.parse(text, "x").data == text  # why this is needed


@pytest.mark.parametrize(
    "text", ["e5", "1e", "1e5x", "1e400", "0x1e5", "nan", "inf", "5", "1_0e5", "1 e5", "1e" * 50]
)
def test_other_texts_stay_texts(text: str) -> None:
    assert as_number(text) == text
    assert as_whole_number(text) == text


def test_whole_numbers() -> None:
    assert (as_whole_number("1e3"), as_whole_number("1.5e3")) == (1000, 1500)
    assert as_whole_number("1e-3") == "1e-3" and as_whole_number("1e17") == "1e17"


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "1.0e-5", "0.00001"])
def test_a_number_is_read_where_one_is_expected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: quickstart\nname: 1e5\nlearner: {{learning_rate: {text}}}\n")
    for found in (load(str(path)), load(overrides=[f"learner.learning_rate={text}", "name=1e5"])):
        assert getattr(found.learner, "learning_rate") == 1e-5  # noqa: B009
        assert found.name == "1e5"  # a text where a text is expected


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("population.users=1e1", lambda s: s.population.users == 10),
        ("learner.kl={weight: 1e-2}", lambda s: s.learner.kl.weight == 0.01),
        ("phases=[{kind: finetune, data: [{kind: world, rows: 2e1}]}]",
         lambda s: s.phases[0].data[0].rows == 20),
        ("cost_cap=1e2", lambda s: s.cost_cap == 100),
    ],
)  # fmt: skip
def test_numbers_deep_within(override: str, value: Any) -> None:
    anchors = ["phases.0.anchors=[{kind: world, rows: 8}]"] if "kl" in override else []
    phases = {"phases": [{"kind": "loop"}]} if anchors else {}
    assert value(load(overrides=[override, *anchors], options=phases))


def test_a_wrong_number_is_still_refused_beside_a_right_one() -> None:
    with pytest.raises(ScenarioError) as caught:
        load(overrides=["learner.learning_rate=-1e-5", "rounds=1e-1", "seed=1e2x"])
    said = str(caught.value)
    assert "learning_rate: input should be greater than 0" in said
    assert "rounds: input should be a valid integer, not '1e-1'" in said
    assert "seed: input should be a valid integer, not '1e2x'" in said


def test_shares_are_numbers_before_they_are_rescaled() -> None:
    sets = [f"population.types.{name}.share=5e-1" for name in ("benign", "biased")]
    assert load(overrides=sets, biased_frac=0.2).biased_share == pytest.approx(0.2)


def test_axes_of_a_sweep_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: s\nscenario: quickstart\nset: {learner.decay: 9e-1, biased_frac: 1e-1}\n"
        "over: {learner.learning_rate: [1e-5, 1E-4]}\narms: {one: {}}\n"
    )
    _, cells = plan(path)
    assert [cell.settings["learner.learning_rate"] for cell in cells] == [1e-5, 1e-4]
    assert [getattr(cell.scenario.learner, "decay") for cell in cells] == [0.9, 0.9]  # noqa: B009
    assert cells[0].scenario.biased_share == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: x\ndescription: caf\xe9\n", "mine.yaml:2: has the byte 0xe9, which isn't UTF-8"),
        (b"name: x\ndescription: a\0b\n", "mine.yaml:2: has a NUL character"),
        (b'name: x\ndescription: "a\\ud83d"\n', "mine.yaml:2: description: has half of a charac"),
        (b'name: x\ndescription: "a\\0b"\n', "mine.yaml:2: description: has a NUL character"),
        (b'name: x\n"\\ud83d": 1\n', "mine.yaml:2: a key has half of a character"),
        ("name: x\n".encode("utf-16"), "mine.yaml:1: is UTF-16, not UTF-8"),
    ],
)
def test_texts_that_nothing_can_take_are_refused_by_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        document.read(path)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(words)
    str(caught.value).encode()


def test_characters_escaped_as_in_json_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text('\ufeffdescription: "\\ud83d\\udc80"\n')
    assert document.read(path).data == {"description": "\U0001f480"}


def test_an_override_in_another_encoding_is_refused() -> None:
    with pytest.raises(ScenarioError) as caught:
        load(overrides=["description=caf\udce9"])
    str(caught.value).encode()


@pytest.mark.parametrize("text", ["1:30", "010", "0_1"])
def test_times_and_octal_numbers_are_text(text: str) -> None:
    assert parse(text, "f").data == text
    with pytest.raises(ScenarioError, match=f"seed: input should be a valid integer, not '{text}'"):
        load(overrides=[f"seed={text}"])


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan"])
def test_numbers_are_finite(text: str) -> None:
    for key in ("learner.learning_rate", "conversations.temperature"):
        with pytest.raises(ScenarioError, match=f"{key}: input should be a finite number"):
            load(overrides=[f"{key}={text}"])
