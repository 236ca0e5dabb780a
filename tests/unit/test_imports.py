"""The floors of the house: a package imports only what stands below it. FLOORS is the contract."""

import ast
import itertools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("simulator", "agents", "analysis", "scenarios")
# From the ground up. Packages that share a floor don't see each other.
FLOORS = (
    ("scenarios",),
    ("simulator.core",),
    ("simulator.store",),
    ("simulator.interp",),
    ("simulator.worlds",),
    ("simulator.models",),
    ("simulator.learners",),
    ("simulator.backends",),
    ("simulator.data",),
    ("simulator.organism",),
    ("agents", "simulator.probes"),
    ("simulator.simulation",),
    ("simulator.config",),
    ("simulator.runtime",),
    ("simulator.evaluation",),
    ("simulator.loop",),
    ("simulator.experiments",),
    ("analysis",),
    ("simulator.studies",),
    ("simulator.cli",),
    ("simulator.__main__",),
)
# Who sees only some of what stands below them.
SEES_ONLY = {
    "agents": ("simulator.core", "simulator.worlds"),
    "analysis": ("simulator.core", "simulator.store", "simulator.probes"),
}
# What only some may see: whoever talks about a world takes any world, not the organism's.
SEEN_ONLY_BY = {
    "simulator.worlds.pressure": ("simulator.worlds", "simulator.organism"),
    "simulator.worlds.language": ("simulator.worlds", "simulator.organism"),
    "simulator.worlds.characters": ("simulator.worlds",),
    "simulator.worlds.corpus": ("simulator.worlds", "simulator.organism", "simulator.cli.organism"),
    "simulator.worlds.facts": ("simulator.worlds", "simulator.runtime.known_items"),
    "simulator.worlds.synthetic": ("simulator.worlds", "simulator.organism", "simulator.models"),
}
HEIGHT = {package: height for height, floor in enumerate(FLOORS) for package in floor}
Import = tuple[str, int, str]  # importer, line, imported


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def package_of(module: str) -> str:
    """Returns the package of FLOORS that a module belongs to, or the module itself."""
    return next((package for package in HEIGHT if within(module, package)), module)


def allowed(importer: str, imported: str) -> bool:
    above, below = package_of(importer), package_of(imported)
    if below == "simulator":  # the version
        return True
    keepers = next((who for m, who in SEEN_ONLY_BY.items() if within(imported, m)), ("",))
    if keepers != ("",) and not any(within(importer, keeper) for keeper in keepers):
        return False
    if above == below:
        return True
    if above not in HEIGHT or below not in HEIGHT:
        return False
    seen = SEES_ONLY.get(above)
    return HEIGHT[below] < HEIGHT[above] and (seen is None or below in seen)


def modules(root: Path) -> dict[str, Path]:
    """Returns the files of every module of ours."""
    found = {}
    for path in itertools.chain.from_iterable(sorted((root / p).rglob("*.py")) for p in PACKAGES):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path: Path, module: str) -> Iterator[Import]:
    """Yields every module of ours that a file imports: at its top, in functions, for types."""
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
            # `from simulator import loop` imports a module, `from x import Name` a name
            names = [f"{head}.{a.name}" if is_module(f"{head}.{a.name}") else head
                     for a in node.names]  # fmt: skip
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES:
                yield module, node.lineno, name


def violations(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{line}: imports {imported}"
        for module, path in modules(root).items()
        for importer, line, imported in imports(path, module)
        if not allowed(importer, imported)
    ]


def circle(root: Path) -> list[str]:
    """Returns the modules of a circle of imports; none is the rule."""
    files = modules(root)
    graph = {
        module: {imported for _, _, imported in imports(path, module)} - {module}
        for module, path in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_package_imports_only_what_stands_below_it() -> None:
    assert len(modules(ROOT)) > 200
    assert violations(ROOT) == []


def test_no_modules_import_each_other() -> None:
    assert circle(ROOT) == []


def test_every_package_stands_on_a_floor() -> None:
    unplaced = {package_of(module) for module in modules(ROOT)} - set(HEIGHT)
    assert unplaced == {"simulator"}
    assert len(list((ROOT / "simulator").glob("*.py"))) <= 6


@pytest.mark.parametrize(
    ("file", "line", "imported"),
    [
        ("simulator/core/requests.py", "from simulator import store", "simulator.store"),
        ("simulator/store/run.py", "import agents.base", "agents.base"),
        ("simulator/simulation/population.py", "from ..loop import simulate", "simulator.loop"),
        (
            "simulator/loop.py",
            "from simulator.experiments.sweep import run_sweep",
            "simulator.experiments.sweep",
        ),
        (
            "simulator/backends/vllm.py",
            "def f():\n    import simulator.config.scenario as s",
            "simulator.config.scenario",
        ),
        (
            "simulator/backends/config.py",
            "if TYPE_CHECKING:\n    from simulator.data import rows",
            "simulator.data.rows",
        ),
        ("simulator/models/resolve.py", "from analysis import plotting", "analysis.plotting"),
        (
            "agents/world_users.py",
            "from simulator.backends.base import Backend",
            "simulator.backends.base",
        ),
        (
            "agents/world_users.py",
            "from simulator.probes.base import Probe",
            "simulator.probes.base",
        ),
        (
            "agents/world_users.py",
            "from simulator.worlds import language",
            "simulator.worlds.language",
        ),
        (
            "simulator/probes/world/honesty.py",
            "from simulator.worlds.synthetic import SyntheticWorld",
            "simulator.worlds.synthetic",
        ),
        (
            "simulator/probes/interp/solution.py",
            "from simulator.worlds.corpus import documents",
            "simulator.worlds.corpus",
        ),
        ("simulator/probes/x.py", "import agents.base", "agents.base"),
        ("analysis/run/frames.py", "from simulator import loop", "simulator.loop"),
        (
            "simulator/organism/training.py",
            "from ..simulation.selection import decide",
            "simulator.simulation.selection",
        ),
        ("simulator/stray.py", "from simulator.core import errors", "simulator.core.errors"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, line: str, imported: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    number = line.count("\n") + 1
    assert violations(tmp_path) == [f"{file}:{number}: imports {imported}"]


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    core = tmp_path / "simulator" / "core"
    core.mkdir(parents=True)
    (core / "requests.py").write_text("from simulator.core.rng import Key\n")
    (core / "rng.py").write_text("def f():\n    from simulator.core.requests import Prompt\n")
    assert set(circle(tmp_path)) == {"simulator.core.requests", "simulator.core.rng"}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("simulator/core/requests.py", "from simulator.core.rng import Key\nimport json"),
        ("simulator/cli/app.py", "from simulator.experiments.sweep import run_sweep"),
        ("simulator/experiments/sweep.py", "from simulator.loop import simulate"),
        ("analysis/run/frames.py", "from simulator.store.run import Run"),
        ("simulator/organism/training.py", "from simulator.worlds.language import SETS"),
    ],
)
def test_what_the_floors_allow_is_let_through(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert violations(tmp_path) == []
