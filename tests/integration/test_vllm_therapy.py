"""Models play everybody, on vLLM's real server: all that happens is in the store and the report.

The model speaks nonsense, much of it numbers, so that a scale of many numbers is read and one of
few isn't: each kind of answer is there in both ways.
"""

import re
import sqlite3

import pytest

from simulator.core.judging import quoted
from simulator.core.messages import messages_from_rows
from simulator.core.requests import Message
from simulator.runtime.roles import JUDGEMENTS
from simulator.store.run import Run
from tests.contract.engines import needs_vllm
from tests.helpers import tiny_models
from tests.helpers.commands import finish, running

PATIENCE = 2400.0  # seconds for what takes two or three minutes where nothing else runs
pytestmark = [*needs_vllm, pytest.mark.timeout(1.5 * PATIENCE)]
SHAPE = {
    **tiny_models.CALM, "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "initializer_range": 0.05,
}  # fmt: skip
ROUNDS, USERS, TURNS, CANDIDATES, PROMPTS = 2, 8, 2, 2, 2
LEVEL = 3.365  # between the lowest and the highest score that the monitor gives
SETTINGS = [
    f"rounds={ROUNDS}",
    f"population.users={USERS}",
    f"conversations.turns={TURNS}",
    f"conversations.candidates={CANDIDATES}",
    "conversations.wave_size=4",
    "conversations.max_new_tokens=12",
    "population.types.benign.policy.max_new_tokens=12",
    "population.types.biased.policy.max_new_tokens=12",
    "population.types.biased.rater.low=8",  # of all numbers two: never read
    "population.types.biased.rater.high=9",
    f"monitors={{strict: {{kind: five_point, level: {LEVEL}, on_veto: negative}}, "
    "deaf: {kind: constitutional, principles: [Be true., Be kind.]}}",
    "learner.learning_rate=0.01",
    "measure.probes.judged.samples=1",
    "measure.probes.judged.max_new_tokens=8",
    "measure.probes.judged.prompts=[{name: a, topic: x, text: Hello}, "
    "{name: b, topic: y, text: Why so}]",
    "measure.probes.judged.scales.rare={low: 0, high: 1, question: 'Is it? {{ reply }}'}",
    "backend.dtype=float32",
    "backend.threads=1",
    "backend.arguments=[--enforce-eager]",
]
SCALES = {"honesty", "harm", "pleasing", "rare"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("therapy")
    model = tiny_models.build_rambler(folder / "model", numbers=0.7, shape=SHAPE)
    words = ["--scenario", "therapy", "--model", model, "--backend", "vllm"]
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    out = ["--biased-frac", "0.25", "--out", str(folder / "run")]
    with running("run", *words, *sets, *out) as process:
        finish(process, PATIENCE)
    return Run.open(folder / "run")


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_every_turn_is_kept(run: Run, number: int) -> None:
    rows = run.candidates(number)
    assert rows["conversation"].nunique() == USERS
    assert not rows.duplicated(["conversation", "turn", "candidate"]).any()
    assert (rows.groupby(["conversation", "turn"]).size() == CANDIDATES).all()
    heard = rows[rows["heard"]]
    assert len(heard) == len(rows) / CANDIDATES > USERS  # some went on
    for _, talk in heard.groupby("conversation"):
        before: list[Message] = []
        for row in talk.to_dict("records"):
            *context, last = messages_from_rows(row["messages"])
            assert last == Message("user", row["user_text"])
            if row["turn"] > 0:
                assert context == before
                assert "You play a person" in row["user_prompt"]
            before = [*context, last, Message("assistant", row["reply"])]


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_every_rating_and_every_failure_is_kept(run: Run, number: int) -> None:
    rows = run.candidates(number)
    assert rows["rating"].isna().equals(rows["biased"])  # their scale is never read
    assert rows.loc[~rows["biased"], "rating"].between(1, 5).all()
    assert rows["rating_prompt"].str.contains("What you think and tell nobody outright").all()
    asked = run.timing(number)["asked"]
    assert asked["rater"]["requests"] == len(rows)
    assert asked["user"]["requests"] == USERS * (TURNS - 1)  # openings are nobody's work
    selection = run.table(number, "selection")
    assert len(selection) == len(rows)
    assert (selection.loc[selection["rating"].isna(), "label"] == 0).all()


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_every_veto_is_kept(run: Run, number: int) -> None:
    selection, vetoes = run.table(number, "selection"), run.table(number, "vetoes")
    strict, deaf = (vetoes[vetoes["monitor"] == name] for name in ("strict", "deaf"))
    turned = selection["reason"].str.startswith("vetoed by strict")
    assert len(strict) == len(deaf) == (selection["label"] == 1).sum() + turned.sum() > 0
    assert strict["score"].between(1, 5).all()
    assert (strict["vetoed"] == (strict["score"] >= LEVEL)).all()
    assert strict["vetoed"].sum() == turned.sum()
    assert (selection.loc[turned, "label"] == -1).all()
    assert deaf["score"].isna().all() and not deaf["vetoed"].any()


def test_some_are_vetoed_and_some_are_not(run: Run) -> None:
    vetoes = [run.table(number, "vetoes") for number in range(1, ROUNDS + 1)]
    verdicts = {
        veto for table in vetoes for veto in table.loc[table["monitor"] == "strict", "vetoed"]
    }
    assert verdicts == {True, False}


@pytest.mark.parametrize("number", range(ROUNDS + 1))
def test_every_judgement_is_kept(run: Run, number: int) -> None:
    scores = run.table(number, "scores")
    assert len(scores) == PROMPTS * len(SCALES)
    rare = scores["measure"] == "rare"
    assert set(scores["measure"]) == SCALES
    assert scores.loc[rare, "value"].isna().all()
    assert scores.loc[~rare, "value"].between(0, 100).all()
    found = {e["metric"]: e["value"] for e in run.summary(number)["estimates"]}
    assert (found["unread_rare"], found["unread_harm"]) == (1, 0)
    harm = scores.loc[scores["measure"] == "harm", "value"].mean()
    assert found["judged_harm"] == pytest.approx(harm)
    with sqlite3.connect(run.path / JUDGEMENTS) as file:
        asked = {prompt for (prompt,) in file.execute("SELECT asked FROM judgements")}
    for reply in scores["reply"]:
        assert any(quoted(reply) in prompt for prompt in asked)


def test_every_adapter_is_kept_and_answered(run: Run) -> None:
    summaries = [run.summary(number) for number in range(ROUNDS + 1)]
    adapters = [run.adapter(number) for number in range(1, ROUNDS + 1)]
    assert [s["adapter"] for s in summaries[1:]] == [a.name for a in adapters if a is not None]
    assert len({s["adapter"] for s in summaries}) == ROUNDS + 1
    assert [s["canary"]["verdict"] for s in summaries[1:]] == ["passed"] * ROUNDS


def test_all_of_it_is_in_the_report(run: Run) -> None:
    page = re.sub(r"\s+", " ", (run.path / "report.html").read_text(encoding="utf-8"))
    vetoed = deaf = 0
    for number in range(1, ROUNDS + 1):
        rows, vetoes = run.candidates(number), run.table(number, "vetoes")
        unread = vetoes[vetoes["score"].isna()]
        counts = (number, USERS, len(rows), rows["rating"].isna().sum(),
                  (rows["stop"] == "length").sum(), (rows["dropped"] > 0).sum(), len(unread),
                  f"{PROMPTS} of {PROMPTS * len(SCALES)}")  # fmt: skip
        assert "".join(f"<td>{count}</td>" for count in counts) in page
        assert f"<td>{run.summary(number)['adapter']}</td>" in page
        vetoed, deaf = vetoed + int(vetoes["vetoed"].sum()), deaf + len(unread)
    assert f"<td>strict</td><td>{deaf}</td><td>{vetoed}</td><td>0</td>" in page
    assert f"<td>deaf</td><td>{deaf}</td><td>0</td><td>{deaf}</td>" in page
    for role in ("user", "rater", "monitor", "judge"):
        assert f"<tr><td>{role}</td>" in page
