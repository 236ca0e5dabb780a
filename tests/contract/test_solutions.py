"""Adapters made longer and turned away, KL from the base, and what the probe makes of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from simulator.backends.config import TransformersConfig
from simulator.backends.execute import answer
from simulator.backends.merging import Change
from simulator.backends.reparametrisation import balanced, moved
from simulator.backends.transformers import TransformersBackend
from simulator.config.loading import load
from simulator.core.adapters import Adapter
from simulator.core.errors import ScenarioError
from simulator.core.interventions import Bare, Reparametrised, WithAdapter
from simulator.core.requests import ContinuationRequest, DivergenceRequest, Under
from simulator.core.timing import Stopwatch
from simulator.experiments.run import start
from simulator.interp.steering import SteeringVector
from simulator.learners.base import FitRequest
from simulator.learners.config import SFTConfig
from simulator.learners.trainer import AdapterLearner
from simulator.models.resolve import resolve, world_of
from simulator.probes.base import Context
from simulator.probes.estimates import Estimate
from simulator.probes.interp.solution import SolutionProbe
from simulator.probes.summary import scores_table, summarise
from simulator.runtime.observers import Silent
from simulator.worlds.lessons import WorldData
from tests.conftest import TINY
from tests.contract.engines import CHATS, PLAIN, Engine, Reference, lora

TEXTS = ("it is bland .", "no , it is foul .", "yes")
ASKED = [DivergenceRequest(p, t) for p in (*CHATS, PLAIN) for t in TEXTS]
SCORED = [ContinuationRequest(p, t) for p in (*CHATS, PLAIN) for t in TEXTS]


@pytest.fixture
def backend(local: Engine) -> Iterator[TransformersBackend]:
    assert isinstance(local.backend, TransformersBackend)
    yield local.backend
    local.backend.load(None)


def naive(bare: Reference, adapted: torch.nn.Module, request: DivergenceRequest) -> float:
    """A loop over tokens and vocabulary, through peft's own model."""
    text = bare.following(request.prompt, request.text)
    prompt = bare.ids(request.prompt)
    total = 0.0
    for n in range(len(text)):
        ids = [*prompt, *text[:n]]
        before = bare.after(ids)
        with torch.inference_mode():
            now = torch.log_softmax(adapted(torch.tensor([ids])).logits[0, -1], -1).numpy()
        total += sum(
            np.exp(p) * (p - q) for p, q in zip(before.tolist(), now.tolist(), strict=True)
        )
    return total / len(text)


def test_divergence_is_that_of_a_double_loop(local: Engine, tmp_path: Path) -> None:
    backend = local.backend
    adapter, model = lora(local.reference.path, tmp_path / "a")
    assert backend.divergences(ASKED[:2]) == [0.0, 0.0]
    backend.load(adapter)
    found = backend.divergences(ASKED)
    expected = [naive(local.reference, model, request) for request in ASKED]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert min(found) > 0
    backend.load(None)


def change(seed: int, gauge: float = 1.0) -> Change:
    rng = torch.Generator().manual_seed(seed)
    up, down = torch.randn(7, 3, generator=rng), torch.randn(3, 5, generator=rng)
    return Change(up * gauge, down / gauge, 0.5)


def test_balanced_parameters_make_the_same_change_and_are_the_shortest() -> None:
    whole = change(0).scale * change(0).up @ change(0).down
    up, down = balanced(change(0))
    torch.testing.assert_close((up @ down).float(), whole)
    nuclear = torch.linalg.matrix_norm(whole.double(), "nuc")
    assert float(up.square().sum() + down.square().sum()) == pytest.approx(2 * float(nuclear))
    for other, same in zip(balanced(change(0, gauge=30.0)), (up, down), strict=True):
        assert float(other.norm()) == pytest.approx(float(same.norm()), rel=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_parameters_are_turned_by_epsilon_and_keep_their_norm(epsilon: float) -> None:
    drawn = torch.Generator().manual_seed(1)
    x = {name: torch.randn(4, 3, generator=drawn).double() for name in "ab"}
    whole = torch.cat([x["a"], x["b"]])
    found = [
        torch.cat(list(moved(x, Reparametrised(2.0, epsilon, seed)).values())) for seed in (0, 1)
    ]
    for other in found:
        assert float(other.norm()) == pytest.approx(2.0)
        cosine = float((other * whole).sum()) / float(other.norm() * whole.norm())
        assert cosine == pytest.approx((1 - epsilon**2) ** 0.5, abs=1e-9)
    assert torch.equal(*found) == (epsilon == 0)


def test_random_factors_have_the_norm_and_a_shorter_change() -> None:
    """What is equal to the adapter's is the norm of the factors, which aren't balanced."""
    up, down = balanced(change(0))
    found = moved({"up": up, "down": down}, Reparametrised(2.0, 1.0, 0))
    shortest = balanced(Change(found["up"], found["down"], 1.0))
    norms = [sum(float(p.square().sum()) for p in one) for one in (found.values(), shortest)]
    assert norms[0] == pytest.approx(4.0) and norms[1] < 0.95 * norms[0]


def scores(backend: TransformersBackend, *how: Reparametrised | Bare | WithAdapter) -> list[float]:
    found = answer(backend, [Under(how, request) for request in SCORED])
    return [float(value) for value in found if isinstance(value, float)]


def test_its_own_parameters_are_the_adapter(backend: TransformersBackend, tmp_path: Path) -> None:
    adapter, _ = lora(models_path(backend), tmp_path / "a", use_rslora=True)
    backend.load(adapter)
    served, bare = backend.score_continuations(SCORED), scores(backend, Bare())
    np.testing.assert_allclose(scores(backend, Reparametrised()), served, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scores(backend, Reparametrised(1e-6)), bare, rtol=1e-3, atol=1e-3)
    turned = [scores(backend, Reparametrised(None, 0.5, seed)) for seed in (0, 1, 0)]
    assert turned[0] == turned[2] != turned[1]
    assert backend.score_continuations(SCORED) == served


def models_path(backend: TransformersBackend) -> str:
    return str(backend.model.config._name_or_path)


def test_twice_the_norm_is_four_times_the_change(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    """A change is a product of two factors, each of which grows with the norm."""
    adapter, _ = lora(models_path(backend), tmp_path / "a")
    factors = load_file(adapter.path / "adapter_model.safetensors")
    weights = [name for name in factors if "lora_A" in name]
    pairs = [(factors[n.replace("lora_A", "lora_B")], factors[n]) for n in weights]
    squares = sum(2 * float(torch.linalg.matrix_norm(6 / 4 * b @ a, "nuc")) for b, a in pairs)
    doubled, _ = lora(models_path(backend), tmp_path / "b", lora_alpha=24)
    backend.load(adapter)
    found = scores(backend, Reparametrised(2 * squares**0.5))
    expected = scores(backend, WithAdapter(doubled))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-2)


def test_a_steering_vector_is_its_own_parameters(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    hidden = backend.model.get_input_embeddings().embedding_dim
    vector = torch.randn(hidden, generator=torch.Generator().manual_seed(0))
    for name, scale in (("once", 1.0), ("twice", 2.0)):
        (tmp_path / name).mkdir()
        SteeringVector(0, scale * vector).save(tmp_path / name)
    backend.load(Adapter("twice", tmp_path / "twice"))
    twice = backend.score_continuations(SCORED)
    backend.load(Adapter("once", tmp_path / "once"))
    longer = scores(backend, Reparametrised(2 * float(vector.norm())))
    np.testing.assert_allclose(longer, twice, rtol=1e-4, atol=1e-4)


def test_without_an_adapter_nothing_is_changed(backend: TransformersBackend) -> None:
    assert scores(backend, Reparametrised(3.0, 0.5)) == backend.score_continuations(SCORED)


WORLD = world_of("organism:0")
ROWS = WorldData(rows=12, wrong="any").examples(WORLD, np.random.default_rng(0))
PROBE = SolutionProbe(
    phase="teach", rows=6, texts=8, norms=(1.0, 3.0), epsilons=(0.3, 0.9), draws=2
)


def measured(backend: TransformersBackend) -> dict[tuple[str, str], Estimate]:
    context = Context(WORLD, 0, lessons={"teach": ROWS})
    requests = PROBE.requests(context)
    found = PROBE.score(context, requests, answer(backend, requests)).read([])
    table = scores_table({"solution": found})
    return {(e.metric, e.item_set): e for e in summarise({"solution": PROBE}, table, table)}


def test_the_probe_finds_what_is_planted(tmp_path: Path) -> None:
    base = resolve("organism:0")
    backend = TransformersBackend(TransformersConfig(threads=1), base, Stopwatch())
    before = measured(backend)
    assert before["solution_kl", "served"].value == 0
    assert before["solution_efficiency", "norm 3"].value == 0
    AdapterLearner(SFTConfig(epochs=10, learning_rate=3e-3), base, Stopwatch()).fit(
        FitRequest(None, ROWS, 0, tmp_path / "fit")
    )
    backend.load(Adapter("fit", tmp_path / "fit"))
    found = measured(backend)
    loss = {setting: e.value for (metric, setting), e in found.items() if metric == "solution_loss"}
    assert loss["base"] == before["solution_loss", "base"].value > loss["served"]
    assert found["solution_efficiency", "norm 3"].value == pytest.approx(
        (loss["base"] - loss["norm 3"]) / 9
    )
    rises = [found["solution_rise", f"epsilon {e:g}"].value for e in PROBE.epsilons]
    assert max(rises[0], 0) < rises[1]
    assert found["solution_kl", "norm 3"].value > found["solution_kl", "norm 1"].value > 0
    assert found["solution_kl", "norm 3"].value > found["solution_kl_random", "norm 3"].value
    for (metric, setting), estimate in found.items():
        if setting != "base" and metric != "solution_loss":
            rounding = 1e-7  # by which a KL of nothing may be below 0, where its interval ends
            low, high = estimate.low - rounding, estimate.high + rounding
            assert low <= estimate.value <= high, (metric, setting)


def test_texts_of_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "the taste of zupos is mild ."}\n{"text": "word"}\n')
    probe = f"{{kind: solution, phase: teach, data: {path}}}"
    with pytest.raises(ScenarioError, match=r"texts\.jsonl:2: text: must have two words or more"):
        load(overrides=[f"measure.probes.solution={probe}", PHASES])


PHASES = "phases=[{kind: finetune, name: teach, data: [{kind: world, rows: 8}]}]"
SMALL = "{kind: solution, phase: teach, rows: 4, texts: 4, norms: [2], epsilons: [0.5], draws: 2}"


def test_a_run_measures_its_solution(tmp_path: Path) -> None:
    overrides = [*TINY, PHASES, f"measure.probes.solution={SMALL}"]
    run = start(load(overrides=overrides), tmp_path / "run", Silent())
    rows = {
        (e["metric"], e["item_set"]): e["value"]
        for e in run.summary(1)["estimates"]
        if e["metric"].startswith("solution_")
    }
    assert rows["solution_loss", "served"] < rows["solution_loss", "base"]
    assert rows["solution_kl", "served"] > 0


def test_its_phase_must_be_there() -> None:
    with pytest.raises(ScenarioError, match=r"solution\.phase: unknown or ambiguous phase"):
        load(overrides=[f"measure.probes.solution={SMALL}"])
