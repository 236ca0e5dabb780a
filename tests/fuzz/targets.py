"""What is fuzzed: each kind of file or answer, and the code of ours that reads it."""

import contextlib
import csv
import functools
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st

from simulator.cli.report import show
from simulator.cli.schemas import check as check_file
from simulator.cli.verify import verify
from simulator.config.loading import load
from simulator.core.requests import GenerationRequest
from simulator.data.encoding_checks import unchecked
from simulator.data.mixture import FileData
from simulator.evaluation.labels import usable
from simulator.models.adapter_folder import Frame, check_fit
from simulator.models.lora import pairs_of
from simulator.store.run import Run
from simulator.worlds.fact_data import SHIPPED, load_facts
from tests.fuzz.bounded import check
from tests.fuzz.trees import at, mangled, mutated, numbers, places, scalars, texts, values
from tests.helpers.planting import commit_again
from tests.helpers.scripted_endpoint import CHAT, Scripted, opened, reply, with_top

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WRITTEN = Path(__file__).parents[1] / "data" / "written_by_6d899d2"


NAMES = ("yaml", "overrides", "data", "facts", "run", "earlier runs", "adapter", "answer")


class Target(NamedTuple):
    """A kind of input."""

    name: str
    cases: st.SearchStrategy[Any]
    run: Callable[[Any, Path], bool]  # in an empty folder; returns whether it was refused
    share: float  # of all cases


# Files of YAML


@functools.cache
def shipped() -> tuple[tuple[str, Any], ...]:
    """Every shipped file by its path, and its content."""
    files = sorted(SCENARIOS.rglob("*.yaml"))
    return tuple((str(f.relative_to(SCENARIOS)), yaml.safe_load(f.read_text())) for f in files)


# The beginnings of their paths; a study has dozens of scenarios, so there are fewer of them.
KINDS = (
    *("quickstart", "facts", "therapy", "advice") * 2,
    "sweeps",
    "sweeps",
    "situations",
    "studies",
)


def yaml_text(tree: Any) -> str:
    try:
        return str(yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=True, width=200))
    except (UnicodeEncodeError, yaml.YAMLError):  # half a character can only be escaped, as in JSON
        return json.dumps(tree)


@st.composite
def yaml_files(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(KINDS))
    name, tree = draw(st.sampled_from([file for file in shipped() if file[0].startswith(kind)]))
    return name, draw(mangled(yaml_text(draw(mutated(tree)))))


def run_yaml(case: tuple[str, bytes], folder: Path) -> bool:
    file = folder / "case.yaml"
    file.write_bytes(case[1])
    # what a shipped scenario says may be wrong beside the change
    places = str(folder), "scenarios/"
    return check(lambda: check_file(str(file), [], lambda said: None), *places)


# Overrides on the command line


@functools.cache
def settings_of_quickstart() -> tuple[tuple[str, Any], ...]:
    """Each key as `--set` names it, with its value."""
    found = load("quickstart").model_dump(mode="json")
    paths = [path for path in places(found) if path]
    return tuple((".".join(map(str, path)), at(found, path)) for path in paths)


@st.composite
def overrides(draw: st.DrawFn) -> tuple[list[str], float | None]:
    found = []
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        key, value = draw(st.sampled_from(settings_of_quickstart()))
        how = draw(st.sampled_from(range(10)))
        if how == 0:
            key = draw(texts)
        if how in (1, 2, 3) and isinstance(value, int | float):
            value = draw(st.sampled_from((value * 2, value + 1, value / 2, 1, 0.1, str(value))))
        elif how < 8:
            value = draw(mutated(value) if how == 4 else numbers | scalars | values)
        text = draw(st.sampled_from((yaml_text(value), json.dumps(value), str(value))))
        between = draw(st.sampled_from(("=",) * 8 + (".x=", ".0=", "")))
        found.append(f"{key}{between}{text.strip()}")
    share = draw(st.sampled_from((None, None, None, 0.0, 0.5, 1.0, 1.5, -1.0, float("nan"))))
    return found, share


def run_overrides(case: tuple[list[str], float | None], folder: Path) -> bool:
    given, fraction = case
    return check(
        lambda: load("quickstart", overrides=given, biased_frac=fraction),
        "--set", "--biased-frac", "quickstart.yaml",
    )  # fmt: skip


# Rows of data

CHAT_ROWS: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]},
    {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]},
    {"instruction": "a", "input": "b", "output": "c", "system": "d", "history": [["e", "f"]]},
    {"instruction": "a", "context": "b", "response": "c"},
    {"prompt": "a", "completion": "b", "label": True},
    {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
    {"prompt": "a", "chosen": "b", "rejected": "c"},
    {"input": {"messages": [{"role": "user", "content": "a"}]},
     "preferred_output": [{"role": "assistant", "content": "b"}],
     "non_preferred_output": [{"role": "assistant", "content": "c"}]},
    {"prompt": "a", "response_0": "b", "response_1": "c", "safer_response_id": 1},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]},
                  {"role": "assistant", "content": {"parts": ["yes"]}}], "rejected_response": "no"},
)  # fmt: skip
BINARY = (".parquet", ".safetensors")
LABELLED = {"prompt": "a", "reply": "b", "label": "good"}
ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


@st.composite
def data_files(draw: st.DrawFn) -> tuple[str, bytes]:
    rows = draw(st.lists(st.sampled_from((*CHAT_ROWS, LABELLED)), min_size=1, max_size=3))
    rows = draw(mutated(rows))
    ending = draw(st.sampled_from(ENDINGS))
    if ending == ".parquet":
        return ending, draw(_as_parquet(rows))
    if ending == ".json":
        return ending, draw(mangled(json.dumps(rows)))
    lines = rows if isinstance(rows, list) else [rows]
    if ending == ".jsonl":
        return ending, draw(mangled("\n".join(map(json.dumps, lines))))
    mark = "," if ending == ".csv" else "\t"
    first = lines[0] if lines and isinstance(lines[0], dict) else {"a": 1}
    cells = [list(first), *(list(one.values()) for one in lines if isinstance(one, dict))]
    quoted = (mark.join('"' + str(c).replace('"', '""') + '"' for c in line) for line in cells)
    return ending, draw(mangled("\n".join(quoted)))


@st.composite
def _spoiled(draw: st.DrawFn, content: bytes) -> bytes:
    """Some content, cut, or with other bytes somewhere."""
    place = draw(st.integers(0, len(content) - 1))
    changed = content[:place] + draw(st.binary(max_size=3)) + content[place + 1 :]
    return draw(st.sampled_from((content[:place], changed)))


@st.composite
def _as_parquet(draw: st.DrawFn, rows: Any) -> bytes:
    try:
        table = pa.Table.from_pylist([row for row in rows if isinstance(row, dict)])
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return b"PAR1" + draw(st.binary(max_size=60)) + b"PAR1"
    content = bytes(sink.getvalue())
    return draw(st.just(content) | _spoiled(content))


def run_data(case: tuple[str, bytes], folder: Path) -> bool:
    ending, content = case
    file = folder / f"case{ending}"
    file.write_bytes(content)

    def read() -> None:
        data = FileData(path=str(file))
        data.drawn(data.read(unchecked), np.random.default_rng(0))

    refused = check(read, str(folder))
    return check(lambda: usable(file, skip_bad_rows=False), str(folder)) and refused


FORMS = SHIPPED / "forms.csv"
FACTS = [file for file in sorted(SHIPPED.glob("*.csv")) if file != FORMS]


@st.composite
def facts_files(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file of facts, and its file of forms, of which one is changed."""
    file = draw(st.sampled_from(FACTS))
    lines = file.read_text().splitlines()
    category = lines[1].partition(",")[0]
    forms = FORMS.read_text().splitlines()
    own = [forms[0], *(line for line in forms if line.startswith(f"{category},"))]
    which = draw(st.integers(0, 1))
    return draw(_cells(lines, changed=which == 0)), draw(_cells(own, changed=which == 1))


@st.composite
def _cells(draw: st.DrawFn, lines: list[str], *, changed: bool) -> bytes:
    if not changed:
        return "\n".join(lines).encode()
    rows = draw(mutated([next(csv.reader([line])) for line in lines]))
    sink = io.StringIO()
    writer = csv.writer(sink)
    for row in rows if isinstance(rows, list) else [rows]:
        writer.writerow(row if isinstance(row, list) else [row])
    return draw(mangled(sink.getvalue()))


def write_facts(case: tuple[bytes, bytes], folder: Path) -> None:
    (folder / "case.csv").write_bytes(case[0])
    (folder / "case.forms.csv").write_bytes(case[1])


def run_facts(case: tuple[bytes, bytes], folder: Path) -> bool:
    write_facts(case, folder)
    return check(lambda: load_facts(folder / "case.csv"), str(folder))


# Runs and sweeps


@st.composite
def changed_files(draw: st.DrawFn, root: Path) -> tuple[str, bytes, bool]:
    """A file of a folder with its new content, and whether hashes are made to fit it."""
    kinds = (".json", ".jsonl", ".yaml", *BINARY)
    files = [f for f in sorted(root.rglob("*")) if f.name == "DONE" or f.suffix in kinds]
    file = draw(st.sampled_from(files))
    if file.suffix in BINARY:
        return str(file.relative_to(root)), draw(_spoiled(file.read_bytes())), draw(st.booleans())
    text = file.read_text()
    if file.suffix == ".yaml":
        text = yaml_text(draw(mutated(yaml.safe_load(text))))
    elif file.suffix != ".jsonl":
        text = json.dumps(draw(mutated(json.loads(text))), indent=1)
    return str(file.relative_to(root)), draw(mangled(text)), draw(st.booleans())


def stored(case: tuple[str, bytes, bool], folder: Path, root: Path) -> Path:
    """Copies a folder with a case's change."""
    name, content, hashed = case
    place = folder / "stored"
    shutil.copytree(root, place)
    (place / name).write_bytes(content)
    if hashed:
        for scenario in place.rglob("scenario.resolved.yaml"):
            with contextlib.suppress(Exception):  # a list of hashes that can't be made again
                commit_again(Run(scenario.parent))
    return place


def run_stored(case: tuple[str, bytes, bool], folder: Path, root: Path, *, many: bool) -> bool:
    place = stored(case, folder, root)
    shown = [p.parent for p in place.rglob("sweep.json")] if many else [place]
    refused = [
        check(functools.partial(what, one), str(folder)) for one in shown for what in (show, verify)
    ]
    return any(refused)


# Adapters

LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up"], "bias": "none",
        "use_rslora": False, "rank_pattern": {"x": 2}, "alpha_pattern": {},
        "layers_to_transform": [0], "init_lora_weights": True,
        "task_type": "CAUSAL_LM"}  # fmt: skip
LAYER = "base_model.model.l.0.up"
HEADER = {
    "__metadata__": {"format": "pt"},
    f"{LAYER}.lora_A.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
    f"{LAYER}.lora_B.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [32, 56]},
}
STEERING = {"layer": 0}
FRAME = Frame("x", {"l.0.up.weight": (3, 4)}, 1, 4, frozenset({"l.0.up"}))


@st.composite
def adapters(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    which = draw(st.integers(0, 2))
    config, header, steering = (
        json.dumps(draw(mutated(tree)) if which == n else tree)
        for n, tree in enumerate((LORA, HEADER, STEERING))
    )
    kept = draw(st.booleans()) or which == 2
    told = draw(st.none() | st.integers(0, 2**64 - 1))
    body = draw(mangled(header))
    size = len(body) if told is None else told
    return (
        draw(mangled(config)),
        size.to_bytes(8, "little") + body + bytes(56),
        draw(mangled(steering)) if kept else b"",
    )


def run_adapter(case: tuple[bytes, bytes, bytes], folder: Path) -> bool:
    config, weights, steering = case
    (folder / "adapter_config.json").write_bytes(config)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    lora = check(lambda: pairs_of(folder), str(folder))
    if steering:
        (folder / "steering.json").write_bytes(steering)
    return check(lambda: check_fit(folder, FRAME), str(folder)) and lora


# Answers of endpoints

ANSWERS: tuple[dict[str, Any], ...] = (
    reply("yes"),
    reply("8", reasoning_content="so"),
    reply(None, refusal="no"),
    with_top({"8": -0.1, "7": -2.0}),
    {"choices": [{"text": "8", "logprobs": {"top_logprobs": [{"8": -1.0}], "tokens": ["8"]}}]},
    {"error": {"message": "maximum context length is 10 tokens", "code": 400, "param": "n"}},
    {"detail": [{"loc": ["body", "seed"], "msg": "extra fields"}]},
)
STREAM = 'data: {"choices": [{"delta": {"content": "yes"}}]}\n\ndata: [DONE]\n\n'


@st.composite
def answers(draw: st.DrawFn) -> tuple[int, bytes]:
    tree = draw(mutated(draw(st.sampled_from(ANSWERS))))
    text = draw(
        st.sampled_from((json.dumps(tree), json.dumps(tree), json.dumps(tree), STREAM, "<html>"))
    )
    status = draw(st.sampled_from((200, 200, 200, 200, 400, 401, 404, 413, 422, 429, 500)))
    return status, draw(mangled(text))


def run_answer(case: tuple[int, bytes], folder: Path, server: Scripted) -> bool:
    status, body = case
    server.script[:] = [(status, body, "application/json")]
    backend = opened(server, retries=0)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    asked = [GenerationRequest(CHAT, (("a", 1),), 4, 1.0)]
    return check(lambda: backend.generate(asked), url)


def targets(run: Path, server: Scripted) -> list[Target]:
    """All of them.

    Args:
        run: a finished one.
        server: gives the answers of endpoints.
    """

    def present(case: tuple[str, bytes, bool], folder: Path) -> bool:
        return run_stored(case, folder, run, many=False)

    def earlier(case: tuple[str, bytes, bool], folder: Path) -> bool:
        return run_stored(case, folder, WRITTEN, many=True)

    def answered(case: tuple[int, bytes], folder: Path) -> bool:
        return run_answer(case, folder, server)

    return [
        Target("yaml", yaml_files(), run_yaml, 0.30),
        Target("overrides", overrides(), run_overrides, 0.17),
        Target("data", data_files(), run_data, 0.16),
        Target("facts", facts_files(), run_facts, 0.08),
        Target("run", changed_files(run), present, 0.06),
        Target("earlier runs", changed_files(WRITTEN), earlier, 0.03),
        Target("adapter", adapters(), run_adapter, 0.10),
        Target("answer", answers(), answered, 0.10),
    ]
