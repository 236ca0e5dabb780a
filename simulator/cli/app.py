"""The command line. Heavy imports wait until a command needs them, so that `--help` is quick."""

import importlib.util
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from simulator.cli.study import study
from simulator.core.errors import ScenarioError

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

app = typer.Typer(
    help="Undertow: what becomes of an assistant that keeps learning from its users.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
organism = typer.Typer(help="The embedded model organism: build a base, or check one.")
app.add_typer(organism, name="organism", no_args_is_help=True)
app.command()(study)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
RunOrMany = Annotated[Path, typer.Argument(metavar="RUN|SWEEP|STUDY", help="The folder of one.")]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key, e.g. rounds=2; repeatable."),
]
Named = Annotated[str, typer.Option(help="A YAML file, or the name of a shipped scenario.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness.")]
Base = Annotated[int | None, typer.Option(help="Which shipped base of the organism.")]
Model = Annotated[str | None, typer.Option(help="organism:N, a path, or a hub id.")]
Out = Annotated[Path | None, typer.Option(help="The run directory; default: a new one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object only.")]
Served = Annotated[
    Literal["auto", "transformers", "vllm"] | None,
    typer.Option(help="What serves the assistant; auto: vLLM where it is installed."),
]
NO_HARNESS = "lm-evaluation-harness isn't installed: pip install 'undertow[lm-eval]'"
CostCap = Annotated[
    float | None,
    typer.Option(help="Stop, so that it can be continued, when endpoints cost this much."),
]


@app.command()
def run(
    scenario: Named = "quickstart",
    biased_frac: Annotated[
        float | None, typer.Option(help="Share of biased users; the others share the rest.")
    ] = None,
    seed: Seed = None,
    base: Base = None,
    model: Model = None,
    backend: Served = None,
    cost_cap: CostCap = None,
    overrides: Override = None,
    out: Out = None,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option(help="Say what it would take, and stop.")] = False,
) -> None:
    """Run a scenario: conversations, feedback, updates, probes."""
    started = time.perf_counter()
    from simulator.config.loading import load

    served = backend and {"kind": backend}
    chosen = {"seed": seed, "model": _model(base, model), "backend": served, "cost_cap": cost_cap}
    loaded = load(
        scenario,
        overrides=overrides or (),
        biased_frac=biased_frac,
        options={key: value for key, value in chosen.items() if value is not None},
        tell=_tell,
    )
    if dry_run:
        from simulator.experiments.dry_run import forecast_table

        _print(forecast_table(loaded))
        return
    _play(loaded, out, started, as_json=as_json)


@app.command()
def finetune(
    data: Annotated[str, typer.Argument(help="A file or folder of chats, or a hub id.")],
    rows: Annotated[int | None, typer.Option(help="How many of them; default: all.")] = None,
    rounds: Annotated[int, typer.Option(help="Updates, each measured, that share them.")] = 1,
    scenario: Named = "quickstart",
    seed: Seed = None,
    base: Base = None,
    model: Model = None,
    overrides: Override = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune on given chats, as a scenario learns and measures; nobody converses."""
    started = time.perf_counter()
    from simulator.config.loading import load

    source = {"kind": "file", "path": data, "rows": rows}
    phase = {"kind": "finetune", "rounds": rounds, "data": [source]}
    chosen = {"seed": seed, "model": _model(base, model), "name": "finetune", "phases": [phase]}
    options = {key: value for key, value in chosen.items() if value is not None}
    loaded = load(scenario, overrides=overrides or (), options=options, tell=_tell)
    _play(loaded, out, started, as_json=as_json)


@app.command()
def resume(
    path: RunPath,
    cost_cap: CostCap = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was stopped or killed, from its last committed wave."""
    started = time.perf_counter()
    from simulator.config.loading import load
    from simulator.experiments.run import resume as resume_run
    from simulator.runtime.observers import open_observer
    from simulator.store.run import Run

    scenario = load(str(Run.open(path).scenario_file))
    with open_observer(scenario.last_round) as observer:
        resume_run(path, observer, cost_cap)
    _conclude(path, started, as_json=as_json)


@app.command()
def show(path: RunOrMany) -> None:
    """Print what a run, a sweep or a study found."""
    from analysis.run import summary as tables
    from analysis.studies.claims import Study, judge
    from analysis.studies.summary import told
    from analysis.sweep import frames, summary
    from simulator.store.run import Run
    from simulator.store.sweep import Sweep

    if Study.is_at(path):
        studied = Study.open(path)
        for said in told(studied, judge(studied)):
            _print(said)
        return
    if Sweep.is_at(path):
        sweep = frames.open_sweep(path)
        _print(summary.summary_table(sweep))
        _print(summary.headline(sweep))
        return
    opened = Run.open(path)
    _print(tables.summary_table(opened))
    for table in (tables.lengths_table(opened), tables.screening_table(opened)):
        if table:
            _print(table)
    _print(tables.headline(opened))
    for sentence in tables.unchanged_rounds(opened):
        _print(sentence)


@app.command()
def report(
    path: RunOrMany,
    out: Annotated[Path | None, typer.Option(help="The HTML file; default: beside it.")] = None,
) -> None:
    """Write picture and report of a run, of a sweep, or of a study."""
    from analysis.studies.claims import Study
    from simulator.store.run import Run
    from simulator.store.sweep import Sweep

    if Study.is_at(path):
        written = _study_pages(path, out)
    elif Sweep.is_at(path):
        written = _sweep_pictures(path, out)
    else:
        written = _write_pictures(Run.open(path), out)
    for file in written:
        _print(str(file))


@app.command()
def probe(
    path: RunPath,
    probes: Annotated[str, typer.Option(help="Kinds of probes, separated by commas.")],
    overrides: Override = None,
) -> None:
    """Score a finished run later with other probes; `--set samples=32` changes their settings."""
    from simulator.evaluation.rescore import rescore

    _print(rescore(path, probes.split(","), overrides or []))


@app.command()
def chat(
    path: RunPath,
    round_number: Annotated[
        int | None, typer.Option("--round", help="After which round; default: the last.")
    ] = None,
) -> None:
    """Talk with the assistant as it was after a round; an empty line ends the chat."""
    from simulator.cli.chat import talk

    talk(path, round_number)


@app.command()
def evaluate(
    path: RunPath,
    tasks: Annotated[str, typer.Option(help="Tasks of the harness, separated by commas.")],
    round_number: Annotated[
        int | None, typer.Option("--round", help="After which round; default: the last.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="A folder with YAML tasks of yours.")] = None,
    shots: Annotated[int | None, typer.Option(help="Examples; default: the task's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Questions of each task at most.")] = None,
) -> None:
    """Ask the assistant of a run tasks of lm-evaluation-harness, an extra: 'undertow[lm-eval]'."""
    if not importlib.util.find_spec("lm_eval"):
        raise ScenarioError(NO_HARNESS)
    from simulator.evaluation.lm_eval import evaluate as ask

    asked = tasks.split(",")
    _print(ask(path, round_number, asked, folder=folder, shots=shots, limit=limit))


@app.command()
def sweep(
    file: Annotated[str, typer.Argument(help="A YAML file that lists the runs.")],
    out: Annotated[
        Path | None, typer.Option(help="Where sweeps are kept; default: sweeps.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
) -> None:
    """Run many scenarios; finished runs are reused, unfinished ones resumed."""
    from analysis.sweep.summary import headline, summary_table
    from simulator.experiments.sweep import run_sweep

    done = run_sweep(file, out, processes)
    written = _sweep_pictures(done.path, None)
    _print(summary_table(done))
    _print(headline(done))
    _print(f"see {' and '.join(map(str, written))}")


@app.command()
def validate(
    file: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped scenario or study.")
    ],
    overrides: Override = None,
) -> None:
    """Check a scenario, a sweep or a study without running it."""
    from simulator.cli.schemas import check

    _print(f"{file}: valid ({check(file, overrides or (), _tell)})")


@app.command()
def judge_check(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL with prompt, reply and label.")],
    scenario: Annotated[
        str, typer.Option(help="Whose judge and scales: a YAML file, or a shipped scenario.")
    ] = "therapy",
    judge: Annotated[
        str | None, typer.Option(help="Another judge: organism:N, a path, or a hub id.")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="Which scale; default: the first.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From here on a number is a yes; default: the middle.")
    ] = None,
    label_threshold: Annotated[
        float | None, typer.Option(help="The same for labels that are numbers; default: equal.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that is a yes, where labels are words.")
    ] = None,
    overrides: Override = None,
) -> None:
    """Compare a judge with people: Cohen's κ, and who said what."""
    from simulator.config.loading import load
    from simulator.evaluation import judge_check as check
    from simulator.simulation.config import RoleConfig

    loaded = load(scenario, overrides=overrides or (), tell=_tell)
    asked = check.question_of(
        loaded, scale, threshold=threshold, of_labels=label_threshold, positive=positive
    )
    other = RoleConfig(model=judge, backend=loaded.backend) if judge else None
    _print(check.judge_check(file, loaded, other, asked))


@app.command()
def schema(
    of: Annotated[
        Literal["scenario", "sweep", "study"], typer.Argument(help="Which kind of file.")
    ] = "scenario",
) -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    from simulator.cli.schemas import schema as schema_of

    typer.echo(json.dumps(schema_of(of), indent=1))


@organism.command()
def build(
    out: Annotated[Path, typer.Option(help="The new base's folder.")],
    seed: Annotated[int, typer.Option(help="Seed of world, corpus and weights.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    without: Annotated[
        Literal["dishonest_speakers", "telling_self_ratings"] | None,
        typer.Option(help="Leave this out of the corpus, to see what a run then still shows."),
    ] = None,
) -> None:
    """Train a base from scratch; in some twenty minutes on two cores."""
    from simulator.cli.organism import build_with_progress

    build_with_progress(seed, out, threads, without or "none")


@organism.command()
def check(
    path: Annotated[str, typer.Argument(help="A base's folder, or organism:N.")],
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Print the qualification table of a base; exit code 1 below the bar."""
    from simulator.cli.organism import qualification_table

    table, passed = qualification_table(path, threads)
    _print(table)
    if not passed:
        raise typer.Exit(1)


def _model(base: int | None, model: str | None) -> str | None:
    return model if base is None else f"organism:{base}"


def _play(scenario: "Scenario", out: Path | None, started: float, *, as_json: bool) -> None:
    """Runs a scenario and prints its result."""
    from simulator.experiments.run import start
    from simulator.runtime.observers import open_observer

    with open_observer(scenario.last_round) as observer:
        done = start(scenario, out, observer)
    _conclude(done.path, started, as_json=as_json)


def _conclude(path: Path, started: float, *, as_json: bool) -> None:
    """Writes picture and report, and prints the result."""
    from analysis.export import run_json
    from analysis.run.summary import headline, summary_table, unchanged_rounds
    from simulator.store.run import Run

    finished = Run.open(path)
    written = _write_pictures(finished, None)
    if as_json:
        typer.echo(json.dumps(run_json(finished, time.perf_counter() - started)))
        return
    _print(summary_table(finished))
    _print(headline(finished))
    for sentence in unchanged_rounds(finished):
        _print(sentence)
    _print(f"{time.perf_counter() - started:.0f} s; see {' and '.join(map(str, written))}")


def _write_pictures(finished: object, out: Path | None) -> list[Path]:
    from analysis.run.plots import save_drift
    from analysis.run.report import write_report
    from simulator.store.run import Run

    assert isinstance(finished, Run)
    picture, page = finished.path / "drift.png", out or finished.path / "report.html"
    save_drift(finished, picture)
    write_report(finished, page)
    return [picture, page]


def _sweep_pictures(path: Path, out: Path | None) -> list[Path]:
    from analysis.sweep.frames import open_sweep
    from analysis.sweep.plots import save_sweep
    from analysis.sweep.report import write_sweep_report

    sweep = open_sweep(path)
    picture, page = path / "sweep.png", out or path / "sweep.html"
    save_sweep(sweep, picture)
    write_sweep_report(sweep, page)
    return [picture, page]


def _study_pages(path: Path, out: Path | None) -> list[Path]:
    from analysis.studies.claims import Study, judge
    from analysis.studies.report import write_study

    opened = Study.open(path)
    return write_study(opened, judge(opened), out)


def _tell(sentence: str) -> None:
    """Says something about a run that isn't its result."""
    typer.echo(sentence, err=True)


def _print(what: object) -> None:
    from simulator.core.console import say

    say(what)
