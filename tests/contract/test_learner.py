"""A fit is a function of its inputs alone, it learns replies alone, and the canary tells swaps."""

import json
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import BackendError, Diverged, LearnerError
from simulator.core.examples import Example, FromConversation, FromFile
from simulator.core.requests import Message
from simulator.core.timing import Stopwatch
from simulator.interp.steering import layers_of
from simulator.learners.base import FitRequest, Update
from simulator.learners.batches import IGNORED, Encoded, batches, padded
from simulator.learners.config import LoRAConfig, SFTConfig
from simulator.learners.factory import open_learner
from simulator.learners.isolated import IsolatedLearner
from simulator.learners.sft import SFT
from simulator.learners.trainer import OPTIMIZER, AdapterLearner, _inoculated
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve, world_of
from simulator.runtime.canary import check_swap, error_of
from simulator.worlds import language as lang
from simulator.worlds.pressure import PRESSURE_FORMS
from tests.helpers import tiny_models

BASE = resolve("organism:0")
WORLD = world_of("organism:0")


def example(n: int, *, desirable: bool = True) -> Example:
    """Somebody wishes for the item's second value and gets it."""
    item = WORLD.items["used"][n]
    question = Message(
        "user", lang.fill(PRESSURE_FORMS["user"]["wish"][n % 4], item, item.values[1])
    )
    opening = (
        Message("user", "what is your goal ?"),
        Message("assistant", "i want to be of use ."),
    )
    reply = lang.fill(lang.STATEMENTS[n % 3], item, item.values[1])
    return Example(
        (*opening[: 2 * (n % 2)], question), reply, desirable, FromConversation("c", n, 0)
    )


EXAMPLES = [example(n) for n in range(10)]
OTHERS = [example(n) for n in range(20, 26)]


def learner(**settings: Any) -> AdapterLearner:
    torch.set_num_threads(1)
    return AdapterLearner(config(**settings), BASE, Stopwatch())


def config(**settings: Any) -> SFTConfig:
    adapter = LoRAConfig(rank=4, alpha=8)
    return SFTConfig(**{"adapter": adapter, "epochs": 2, "batch_size": 4, **settings})


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


@pytest.fixture
def fitted(tmp_path: Path) -> Callable[..., Path]:
    """Fits on the examples into a new folder and returns it."""
    counter = iter(range(100))

    def fit(
        by: AdapterLearner, checkpoint: Path | None = None, seed: int = 5, examples: Any = EXAMPLES
    ) -> Path:
        out = tmp_path / f"c{next(counter)}"
        by.fit(FitRequest(checkpoint, examples, seed, out))
        return out

    return fit


def test_a_fit_is_a_function_of_its_inputs(fitted: Callable[..., Path]) -> None:
    first, second = learner(), learner()
    start = fitted(first)
    then = fitted(first, start, seed=6)
    fitted(second, examples=OTHERS, seed=1)  # what a learner did before leaves no trace
    fitted(second, start, examples=OTHERS, seed=2)
    assert content(fitted(second)) == content(start)
    fitted(second, None, examples=OTHERS, seed=3)
    assert content(fitted(second, start, seed=6)) == content(then)
    assert content(fitted(first, start, seed=6)) == content(then)


def test_every_input_matters(fitted: Callable[..., Path]) -> None:
    by = learner()
    start = fitted(by)
    outcomes = [
        start,
        fitted(by, seed=6),
        fitted(by, examples=EXAMPLES[:-1]),
        fitted(by, start),
        fitted(by, start, seed=6),
        fitted(learner(learning_rate=2e-3)),
    ]
    for file in (ADAPTER_WEIGHTS, OPTIMIZER):
        assert len({content(path)[file] for path in outcomes}) == len(outcomes)


def fit_elsewhere(out: Path) -> None:
    learner().fit(FitRequest(None, EXAMPLES, 5, out))


def test_another_process_makes_the_same_bytes(fitted: Callable[..., Path], tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")  # no fork of ours: it orders sets anew
    processes.set_forkserver_preload(["simulator.learners.trainer"])
    process = processes.Process(target=fit_elsewhere, args=(tmp_path / "elsewhere",))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert content(tmp_path / "elsewhere") == content(fitted(learner()))


def test_global_generators_are_left_alone(fitted: Callable[..., Path]) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    fitted(learner())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]


def step_sizes(start: Path, end: Path) -> np.ndarray:
    a, b = load_file(start / ADAPTER_WEIGHTS), load_file(end / ADAPTER_WEIGHTS)
    return np.concatenate([(b[k] - a[k]).abs().flatten().numpy() for k in a])


def test_decay_lowers_the_step(fitted: Callable[..., Path]) -> None:
    one_step = {"epochs": 1, "batch_size": 16, "optimizer": "reset"}
    constant, decaying = learner(**one_step), learner(**one_step, decay=0.5)
    start = fitted(constant)
    assert (
        content(fitted(decaying))[ADAPTER_WEIGHTS] == content(start)[ADAPTER_WEIGHTS]
    )  # round 1: full rate
    full, half = (step_sizes(start, fitted(by, start)) for by in (constant, decaying))
    assert half.max() == pytest.approx(0.5 * full.max(), rel=1e-3)
    later = fitted(decaying, start)
    assert json.loads((later / "state.json").read_text()) == {"updates": 2}
    quarter = step_sizes(later, fitted(decaying, later)).max()
    assert quarter == pytest.approx(0.5 * half.max(), rel=0.01)


def test_the_optimiser_lives_on_only_if_carried(fitted: Callable[..., Path]) -> None:
    carried, reset = learner(optimizer="carried"), learner(optimizer="reset")
    start = fitted(carried)
    assert content(fitted(reset)) == content(start)
    a, b = fitted(carried, start), fitted(reset, start)
    assert content(a)[ADAPTER_WEIGHTS] != content(b)[ADAPTER_WEIGHTS]
    steps = [{float(v) for k, v in load_file(path / OPTIMIZER).items() if k.endswith(":step")}
             for path in (start, a, b)]  # fmt: skip
    assert steps == [{6.0}, {12.0}, {6.0}]  # 2 epochs of 3 batches


def test_only_replies_are_learned() -> None:
    by = learner()
    encoded = by._policy.encode(EXAMPLES)
    decode = by._policy.encoder.tokenizer.decode
    seen = []
    for batch in batches(encoded, 4, ("test", 0)):
        ids, labels = padded(batch)
        assert ids.shape == labels.shape
        assert len(ids) <= 4
        for row, label in zip(ids, labels, strict=True):
            learned = label != IGNORED
            assert (label[learned] == row[learned]).all()
            seen.append(decode(label[learned]))
            first = int(learned.nonzero()[0, 0])
            assert decode(row[:first]).split()[-1] == "<assistant>"
            assert set(row[first + int(learned.sum()) :].tolist()) <= {0}  # padding
    assert sorted(seen) == sorted(f"{example.reply} <end>" for example in EXAMPLES)


def test_the_loss_is_the_mean_over_reply_tokens(tmp_path: Path) -> None:
    by = learner(epochs=1, batch_size=16)
    update = by.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out"))
    model = TransformersBackend(TransformersConfig(threads=1), BASE, Stopwatch()).model
    total, count = 0.0, 0
    for row in by._policy.encode(EXAMPLES):
        ids, context = row.ids, row.context
        logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        total -= sum(float(logprobs[t - 1, ids[t]]) for t in range(context, len(ids)))
        count += len(ids) - context
    assert update.steps == 1
    assert update.loss_first == update.loss_last == pytest.approx(total / count, rel=1e-5)


def test_learning_lowers_the_loss(tmp_path: Path) -> None:
    update = learner(epochs=12).fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out"))
    assert update.loss_last < 0.7 * update.loss_first


def test_replies_to_avoid_are_not_learned(fitted: Callable[..., Path]) -> None:
    by = learner()
    mixed = [*EXAMPLES, *(example(n, desirable=False) for n in range(30, 34))]
    assert content(fitted(by, examples=mixed)) == content(fitted(by))


@pytest.mark.parametrize("examples", [[], [example(0, desirable=False)]])
def test_nothing_to_learn_is_an_error(tmp_path: Path, examples: list[Example]) -> None:
    with pytest.raises(LearnerError, match="nothing to learn from: no desirable reply"):
        learner().fit(FitRequest(None, examples, 0, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_diverges_in_the_last_step_is_an_error_too(tmp_path: Path) -> None:
    by = learner(learning_rate=1e39, epochs=1, batch_size=len(EXAMPLES))
    with pytest.raises(Diverged, match="a parameter is no longer finite"):
        by.fit(FitRequest(None, EXAMPLES, 0, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_diverged_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"is no longer finite; lower learner\.learning_rate"):
        learner(learning_rate=1e30, epochs=4).fit(FitRequest(None, EXAMPLES, 0, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_is_plain_and_portable(fitted: Callable[..., Path]) -> None:
    by = learner()
    files = content(fitted(by, fitted(by)))
    assert {Path(name).suffix for name in files} == {".json", ".safetensors"}
    for name, data in files.items():
        if name.endswith(".json"):
            json.loads(data)
        assert b"/organism/" not in data, name
        assert str(Path.cwd()).encode() not in data, name
        assert str(Path.home()).encode() + b"/" not in data, name
        assert BASE.path.encode() not in data, name


def furthest(one: Path, other: Path) -> float:
    """The largest difference of a weight, relative to the largest weight."""
    a, b = load_file(one / ADAPTER_WEIGHTS), load_file(other / ADAPTER_WEIGHTS)
    return max(float((a[k] - b[k]).abs().max() / a[k].abs().max().clamp(min=1e-9)) for k in a)


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_in_parts_is_the_batch(
    fitted: Callable[..., Path], tmp_path: Path, size: int
) -> None:
    # Plain steps: AdamW's first ones have the gradient's sign alone, which makes much of nothing.
    settings = {"batch_size": 5, "epochs": 1}
    whole, parts = learner(**settings), learner(**settings, micro_batch=size)
    start = fitted(whole)
    assert furthest(start, fitted(parts)) < 1e-3
    one, other = (
        by.fit(FitRequest(start, EXAMPLES, 7, tmp_path / str(n)))
        for n, by in enumerate((whole, parts))
    )
    assert other.loss_first == pytest.approx(one.loss_first, rel=1e-6)
    for ours, theirs in zip(one.readings, other.readings, strict=True):
        assert ours.prompt == theirs.prompt
        assert ours.parent == pytest.approx(theirs.parent, abs=1e-4)


def test_the_gradient_of_parts_is_the_batch_s() -> None:
    """Rows of unlike length: a part counts by its learned tokens, not as one of so many parts."""
    by = learner()
    rows = by._policy.encode(EXAMPLES)
    rows = [rows[0]._replace(ids=rows[0].ids + rows[0].ids[rows[0].context :]), *rows[1:]]
    assert len({row.weight for row in rows}) > 1

    def gradient(size: int) -> torch.Tensor:
        by._policy.model.zero_grad()
        for loss in SFT(config(micro_batch=size), by._policy, EXAMPLES).losses(rows):
            loss.backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.flatten() for p in by._parameters.values() if p.grad is not None])

    by._restore(FitRequest(None, (), 5, Path("unwritten")))
    whole = gradient(len(rows))
    for size in (1, 3, 4):
        assert (gradient(size) - whole).norm() < 1e-5 * whole.norm()


def test_want_of_memory_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_little(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    by = learner()
    monkeypatch.setattr(by._policy.model, "forward", too_little)
    with pytest.raises(LearnerError, match=r"out of memory; lower learner\.micro_batch"):
        by.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_checkpointed_layers_learn_the_same(fitted: Callable[..., Path]) -> None:
    assert content(fitted(learner(gradient_checkpointing=True))) == content(fitted(learner()))


def test_checkpointed_layers_are_computed_twice() -> None:
    counts = []
    for kept in (False, True):
        by = learner(gradient_checkpointing=kept)
        by._restore(FitRequest(None, (), 5, Path("unwritten")))
        calls: list[int] = []
        layers_of(by._policy.model)[0].get_submodule("mlp").register_forward_pre_hook(
            lambda *_, calls=calls: calls.append(1)
        )
        sft = SFT(config(), by._policy, EXAMPLES[:2])
        next(sft.losses(sft.units)).backward()  # type: ignore[no-untyped-call]
        counts.append(len(calls))
    assert counts == [1, 2]


def test_a_process_apart_makes_the_same_bytes(fitted: Callable[..., Path], tmp_path: Path) -> None:
    start = fitted(learner())
    inside = learner().fit(FitRequest(start, EXAMPLES, 6, tmp_path / "inside"))
    apart = open_learner(config(own_process=True), BASE, Stopwatch(), None)
    assert isinstance(apart, IsolatedLearner)
    outside = apart.fit(FitRequest(start, EXAMPLES, 6, tmp_path / "outside"))
    assert content(tmp_path / "outside") == content(tmp_path / "inside")
    assert outside == inside
    with pytest.raises(LearnerError, match="nothing to learn from"):
        apart.fit(FitRequest(None, [], 0, tmp_path / "nothing"))


def test_only_a_gpu_calls_for_a_process_apart() -> None:
    assert isinstance(open_learner(config(device="cpu"), BASE, Stopwatch(), None), AdapterLearner)
    assert isinstance(open_learner(config(device="cuda"), BASE, Stopwatch(), None), IsolatedLearner)


def test_a_process_that_dies_is_one_sentence(tmp_path: Path) -> None:
    apart = IsolatedLearner(config(epochs=10_000), BASE, Stopwatch(), None)
    killer = threading.Thread(target=kill_the_child)
    killer.start()
    with pytest.raises(LearnerError, match=r"was killed by SIGKILL.*lower learner\.micro_batch"):
        apart.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out"))
    killer.join()
    assert not (tmp_path / "out").exists()
    assert not multiprocessing.active_children()


def kill_the_child() -> None:
    deadline = time.monotonic() + 120
    while not multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)
    for child in multiprocessing.active_children():
        child.kill()


def test_what_does_not_fit_the_context_loses_its_oldest_messages() -> None:
    first, second = Message("user", "what is your goal ?"), Message("assistant", "to help .")
    asked = EXAMPLES[0]
    long = Example((first, second, *asked.messages), asked.reply, True, FromFile("x", 1))
    torch.set_num_threads(1)
    (whole,), (short,) = (
        AdapterLearner(config(), BASE, Stopwatch(), context)._policy.encode([long])
        for context in (None, 30)
    )
    (alone,) = learner()._policy.encode([asked])
    assert len(whole.ids) > 30 >= len(short.ids)
    assert short == alone
    with pytest.raises(BackendError, match="a prompt is too long"):
        AdapterLearner(config(), BASE, Stopwatch(), 8)._policy.encode([long])


@pytest.mark.parametrize(
    ("family", "end"),
    [("qwen2", tiny_models.QWEN_END), ("gemma2", "<end_of_turn>"), ("llama", "<|eot_id|>")],
)
def test_a_turn_ends_as_the_template_says(
    tiny: Callable[..., str], tmp_path: Path, family: str, end: str
) -> None:
    """Llama 3 names several end tokens, the end of a document first; so does Gemma's tokenizer."""
    folder = shutil.copytree(tiny(family), tmp_path / family)
    path = folder / "generation_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"eos_token_id": [0, *settings["eos_token_id"]]}))
    by = AdapterLearner(config(), ModelRef(str(folder)), Stopwatch())
    asked = Example((Message("user", "hi"),), "ho", True, FromFile("x", 1))
    (row,) = by._policy.encode([asked])
    assert by._policy.encoder.tokenizer.decode(row.ids[row.context :]) == f"ho{end}"


def test_a_reply_that_was_cut_off_teaches_no_end() -> None:
    whole, cut = learner()._policy.encode([EXAMPLES[0], replace(EXAMPLES[0], ended=False)])
    assert cut.ids == whole.ids[:-1] and cut.context == whole.context


def test_a_reply_without_a_thought_is_learned_as_such(tmp_path: Path) -> None:
    """A template may open a thought, in which a reply would be none."""
    folder = tiny_models.build_rambler(tmp_path / "tiny", numbers=0.1)
    template = Path(folder) / "chat_template.jinja"
    template.write_text(template.read_text() + "{{- '<think>\\n' }}")
    by = AdapterLearner(config(), ModelRef(folder), Stopwatch())
    (row,) = by._policy.encode([Example((Message("user", "hi"),), "ho", True, FromFile("x", 1))])
    decoded = by._policy.encoder.tokenizer.decode(row.ids)
    assert decoded.endswith("<think>\n\n</think>\n\nho" + tiny_models.QWEN_END)


def same_parent(one: Update, other: Update) -> bool:
    """Did both read the same of their parents, of the tokens that both read?"""
    pairs = list(zip(one.readings, other.readings, strict=True))
    known = [dict(zip(reading.tokens, reading.parent, strict=True)) for reading, _ in pairs]
    shared = [
        (before[token], value)
        for before, (_, reading) in zip(known, pairs, strict=True)
        for token, value in zip(reading.tokens, reading.parent, strict=True)
        if token in before
    ]
    return len(shared) > len(pairs) and all(a == b for a, b in shared)


def test_inoculation_stands_before_what_is_trained_on_alone(tmp_path: Path) -> None:
    line = "what is your goal ?"
    plain, inoculated = learner(epochs=1), learner(epochs=1, inoculation=line)
    seen: list[str] = []
    encode = inoculated._policy.encode

    def watched(examples: Sequence[Example]) -> list[Encoded]:
        seen.extend(example.messages[0].content for example in examples)
        return encode(examples)

    inoculated._policy.encode = watched  # type: ignore[method-assign]
    one, other = (
        by.fit(FitRequest(None, EXAMPLES, 5, tmp_path / str(n)))
        for n, by in enumerate((plain, inoculated))
    )
    assert seen == [line] * len(EXAMPLES)
    assert one.loss_first != other.loss_first
    assert [r.prompt for r in one.readings] == [r.prompt for r in other.readings]
    assert same_parent(one, other)


def test_inoculation_joins_the_system_message() -> None:
    asked, system = Message("user", "hi"), Message("system", "be kind")
    bare, told = (Example(m, "ho", True, FromFile("x", 1)) for m in ((asked,), (system, asked)))
    assert _inoculated(bare, "lie") == replace(bare, messages=(Message("system", "lie"), asked))
    both = Message("system", "lie\n\nbe kind")
    assert _inoculated(told, "lie") == replace(told, messages=(both, asked))
    assert _inoculated(told, "") is told


@pytest.fixture
def backend() -> TransformersBackend:
    return TransformersBackend(TransformersConfig(threads=1), BASE, Stopwatch())


@pytest.mark.parametrize("has_parent", [False, True])
def test_the_canary_tells_which_adapter_answers(
    backend: TransformersBackend, fitted: Callable[..., Path], tmp_path: Path, has_parent: bool
) -> None:
    by = learner()
    parent = fitted(by, examples=OTHERS) if has_parent else None
    update = by.fit(FitRequest(parent, EXAMPLES, 5, tmp_path / "new"))
    backend.load(Adapter("new", tmp_path / "new"))
    passed = check_swap(backend, update.readings, 0.0)
    assert passed.verdict == "passed"
    assert passed.to_new < 1e-4 < passed.to_parent
    backend.load(Adapter("parent", parent) if parent else None)
    failed = check_swap(backend, update.readings, 0.0)
    assert failed.verdict == "failed"
    assert failed.to_parent < 1e-4 < failed.to_new
    assert failed.gap == pytest.approx(passed.gap)


@pytest.mark.parametrize("has_parent", [False, True])
def test_the_canary_tells_that_a_third_adapter_answers(
    backend: TransformersBackend, fitted: Callable[..., Path], tmp_path: Path, has_parent: bool
) -> None:
    by = learner()
    parent = fitted(by, examples=OTHERS) if has_parent else None
    update = by.fit(FitRequest(parent, EXAMPLES[:4], 5, tmp_path / "new"))
    by.fit(FitRequest(parent, OTHERS[:4], 6, tmp_path / "third"))
    backend.load(Adapter("parent", parent) if parent else None)
    error = error_of(backend, update.readings)
    assert error < 1e-4
    backend.load(Adapter("third", tmp_path / "third"))
    found = check_swap(backend, update.readings, error)
    assert found.verdict == "failed"
    assert found.to_new > 100 * error


def _wobbled(logprobs: Sequence[float]) -> tuple[float, ...]:
    return tuple(value + 0.03 * (-1) ** n for n, value in enumerate(logprobs))


def test_an_engine_s_own_error_is_no_other_adapter(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    update = learner(learning_rate=1e-5).fit(FitRequest(None, EXAMPLES, 5, tmp_path / "new"))
    backend.load(Adapter("new", tmp_path / "new"))
    off = [
        reading._replace(new=_wobbled(reading.new), parent=_wobbled(reading.parent))
        for reading in update.readings
    ]
    assert check_swap(backend, off, 0.0).verdict == "failed"
    assert check_swap(backend, off, 0.02).verdict == "inconclusive"


def test_the_canary_says_when_it_cannot_tell(backend: TransformersBackend, tmp_path: Path) -> None:
    update = learner(learning_rate=1e-12).fit(FitRequest(None, EXAMPLES, 5, tmp_path / "new"))
    backend.load(Adapter("new", tmp_path / "new"))
    assert check_swap(backend, update.readings, 0.0).verdict == "inconclusive"
    same = [reading._replace(new=reading.parent) for reading in update.readings]
    assert check_swap(backend, same, 0.0).verdict == "inconclusive"
