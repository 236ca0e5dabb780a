"""The import contract of the design: arrows run one way. RULES is the contract."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("simulator", "agents", "analysis", "scenarios")
BOTTOM = (
    "simulator.types", "simulator.interventions", "simulator.errors", "simulator.randomness",
    "simulator.settings", "simulator.directions",
    "simulator.templates", "simulator.numbers", "simulator.scales", "simulator.data",
)  # fmt: skip
COMMANDS = ("simulator.cli", "simulator.study_command", "simulator.__main__")
STUDIES = ("simulator.study", "simulator.study_plan", "simulator.file_kinds")
RUNNERS = ("simulator.sweep", "simulator.runs", "simulator.loop", *STUDIES)
MODEL_SIDE = (
    "simulator.rendering", "simulator.stopwatch", "simulator.devices", "simulator.allocator",
    "simulator.steering", "simulator.residual",
)  # fmt: skip
PROCESSES = ("simulator.children",)
# Who → the modules (with all below them) that it may import; the longest name that fits counts.
# A module of the engine that isn't listed falls under "simulator".
RULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BOTTOM, BOTTOM),
    **dict.fromkeys(COMMANDS, PACKAGES),
    **dict.fromkeys(
        STUDIES, ("simulator", "agents", "analysis", *(f"!{c}" for c in COMMANDS))
    ),
    "simulator.sweep": (
        "simulator", "agents", "analysis", *(f"!{c}" for c in (*COMMANDS, *STUDIES))
    ),
    "simulator.runs": (
        "simulator", "agents", "analysis.probes", "!simulator.sweep",
        *(f"!{c}" for c in (*COMMANDS, *STUDIES))
    ),
    "simulator.loop": (
        "simulator", "agents", "analysis.probes",
        *(f"!{c}" for c in (*COMMANDS, *STUDIES, "simulator.sweep", "simulator.runs")),
    ),
    "simulator": (
        "simulator", "agents", "analysis.probes", *(f"!{c}" for c in (*COMMANDS, *RUNNERS))
    ),
    "simulator.organism": (*BOTTOM, "simulator.organism"),
    "simulator.stopwatch": (),
    "simulator.allocator": (),
    "simulator.children": (),
    "simulator.yaml_source": BOTTOM,
    "simulator.rendering": BOTTOM,
    "simulator.steering": BOTTOM,
    "simulator.residual": (*BOTTOM, "simulator.steering"),
    "simulator.selection": BOTTOM,
    "simulator.store": BOTTOM,
    "simulator.sweep_store": (*BOTTOM, "simulator.store"),
    "simulator.backends": (*BOTTOM, *MODEL_SIDE, "simulator.backends"),
    "simulator.learners": (*BOTTOM, *MODEL_SIDE, *PROCESSES, "simulator.learners"),
    "simulator.population": (*BOTTOM, "simulator.organism", "agents"),
    "simulator.conversation": (
        *BOTTOM, "simulator.organism", "agents", "simulator.backends.base", "simulator.population",
        "simulator.cast",
    ),
    "agents": (*BOTTOM, "simulator.organism", "agents"),
    "analysis.probes": (*BOTTOM, "simulator.organism", "analysis.probes"),
    "analysis": (
        "simulator.store", "simulator.sweep_store", "simulator.types", "simulator.errors",
        "simulator.settings", "analysis",
    ),
    "scenarios": (),
}  # fmt: skip


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def allowed(importer: str, imported: str) -> bool:
    rule = max((name for name in RULES if within(importer, name)), key=len)
    granted = any(within(imported, name) for name in RULES[rule] if not name.startswith("!"))
    refused = any(within(imported, n[1:]) for n in RULES[rule] if n.startswith("!"))
    return granted and not refused


def imports(path: Path, module: str) -> Iterator[tuple[str, int]]:
    """Yields every module of ours that a file imports, wherever it does, with the line."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            head = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                head = ".".join([*parents, *([head] if head else [])])
            # `from simulator import models` imports a module, `from x import Name` a name
            names = [f"{head}.{a.name}" if is_module(f"{head}.{a.name}") else head
                     for a in node.names]  # fmt: skip
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES:
                yield name, node.lineno


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def violations(root: Path) -> list[str]:
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for imported, line in imports(path, module):
                if not allowed(module, imported):
                    found.append(f"{path.relative_to(root)}:{line}: imports {imported}")
    return found


def test_arrows_run_one_way() -> None:
    assert sum(len(list((ROOT / package).rglob("*.py"))) for package in PACKAGES) > 30
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "imported"),
    [
        ("simulator/types.py", "from simulator import store", "simulator.store"),
        ("simulator/store.py", "import agents.base", "agents.base"),
        ("simulator/population.py", "from .loop import simulate", "simulator.loop"),
        ("simulator/loop.py", "from simulator.sweep import sweep", "simulator.sweep"),
        ("simulator/backends/vllm.py", "def f():\n    import simulator.scenario as s",
         "simulator.scenario"),
        ("simulator/models.py", "from analysis.plots import plot", "analysis.plots"),
        ("agents/users.py", "from simulator.backends.base import Backend",
         "simulator.backends.base"),
        ("analysis/probes/x.py", "from simulator.store import Run", "simulator.store"),
        ("analysis/frames.py", "from simulator import population", "simulator.population"),
        ("simulator/organism/corpus.py", "from ..selection import decide", "simulator.selection"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(tmp_path: Path, file: str, line: str, imported: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    number = line.count("\n") + 1
    assert violations(tmp_path) == [f"{file}:{number}: imports {imported}"]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("simulator/types.py", "from simulator.randomness import Key\nimport json"),
        ("simulator/cli.py", "from simulator.sweep import sweep\nfrom analysis import report"),
        ("simulator/sweep.py", "from simulator.loop import simulate"),
        ("analysis/frames.py", "from simulator.store import Run\nfrom analysis.plots import x"),
    ],
)
def test_what_the_arrows_allow_is_let_through(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert violations(tmp_path) == []
