"""The report and the figure: inert, self-contained, small, and there for every kind of run."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest
import yaml

from analysis.run.plots import drift_figure, save_drift, save_panels
from analysis.run.report import write_report
from analysis.run.summary import headline
from simulator.core.credentials import keep_secret
from simulator.core.messages import messages_to_rows
from simulator.core.requests import Message
from simulator.store.round_files import DONE
from simulator.store.run import MANIFEST, SCENARIO, Run
from tests.helpers.planting import commit_again

SHAPED = "sk-planted-0123456789"
HOSTILE = '<script>alert("x")</script><img src=http://evil.example/x onerror=alert(1)>'


class Page(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.fixture
def copied(tiny_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(tiny_run.path, tmp_path / "copy")))


def report(run: Run) -> str:
    path = run.path.with_suffix(".html")
    write_report(run, path)
    return path.read_text(encoding="utf-8")


def assert_inert(text: str) -> None:
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            assert value.startswith("#"), f"{name}={value}"
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_a_page_shows_no_secrets_of_an_earlier_run(copied: Run) -> None:
    """Earlier versions wrote down what is refused now."""
    keep_secret("planted-in-a-report")
    settings = yaml.safe_load(copied.scenario_file.read_text())
    settings["description"] = "planted-in-a-report"
    settings["roles"] = {"judge": {"model": "m", "backend": {"kind": "openai", "key": SHAPED}}}
    settings["roles"]["judge"]["backend"]["url"] = "http://me:pass@host/v1?token=hunter2"
    copied.scenario_file.write_text(yaml.safe_dump(settings))
    manifest = {**copied.manifest, "data_sha256": {"http://me:pass@host/x": "0"}}
    (copied.path / MANIFEST).write_text(json.dumps(manifest))
    page = report(copied)
    assert "http://***@host/v1?token=***" in page
    assert not [t for t in ("planted-in", SHAPED, "me:pass", "hunter2") if t in page]


def test_a_page_elsewhere_may_be_read_by_others(copied: Run, tmp_path: Path) -> None:
    before = os.umask(0)
    os.umask(before)
    for folder, mode in ((copied.path / "made", 0o600), (tmp_path / "sent", 0o666 & ~before)):
        write_report(copied, folder / "page.html")
        save_drift(copied, folder / "page.png")
        written = [folder / "page.html", folder / "page.png", *save_panels(copied, folder)]
        assert {path.stat().st_mode & 0o777 for path in written} == {mode}


def test_report_is_self_contained_and_answers_first(tiny_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(tiny_run, path)
    text = path.read_text(encoding="utf-8")
    assert_inert(text)
    assert len(text) < 1_500_000
    first = re.search(r"<h1>(.*?)</h1>", text, re.S)
    assert first is not None
    assert first[1].replace("\u00a0", " ").replace("\u2060", "") == headline(tiny_run)
    assert text.count("<svg ") == 8
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_report_is_the_same_twice(copied: Run) -> None:
    assert report(copied) == report(copied)


def test_hostile_text_stays_text(copied: Run) -> None:
    for number in (0, 1, 2):
        path = copied.folder(number) / "scores.parquet"
        scores = pd.read_parquet(path).assign(reply=f"{HOSTILE} {number}", label=f'"{HOSTILE}')
        scores["prompt"] = f"user: {HOSTILE}"
        scores.to_parquet(path)
    for part in copied.path.glob("rounds/*/conversations/*.parquet"):
        rows = pd.read_parquet(part)
        said = [("user", HOSTILE), (HOSTILE, HOSTILE), ("user", "$x^2$")]
        chat = messages_to_rows(Message(*one) for one in said)
        chats = pd.Series([chat] * len(rows), rows.index)
        rows.assign(reply=HOSTILE, wish=HOSTILE, messages=chats).to_parquet(part)
    (copied.path / MANIFEST).write_text(json.dumps({HOSTILE: {HOSTILE: [HOSTILE]}}))
    commit_again(copied)
    text = report(copied)
    assert_inert(text)
    assert "&lt;script&gt;" in text


def test_hostile_names_stay_text(copied: Run) -> None:
    name = f"$\\frac{HOSTILE}"
    for path in copied.path.glob("rounds/*/series.parquet"):
        rows = pd.read_parquet(path)
        rows.assign(user_type=rows["user_type"].replace("biased", name)).to_parquet(path)
    scenario = yaml.safe_load((copied.path / SCENARIO).read_text())
    types = scenario["population"]["types"]
    types[name] = types.pop("biased")
    scenario["description"] = HOSTILE
    (copied.path / SCENARIO).write_text(yaml.safe_dump(scenario))
    commit_again(copied)
    assert_inert(report(copied))


def test_run_in_progress(copied: Run) -> None:
    for number in (2, 1, 0):
        (copied.folder(number) / DONE).unlink()
        text = report(copied)
        assert_inert(text)
        assert "isn't finished" in text or "isn&#39;t finished" in text
        drift_figure(copied)


def test_learner_none_and_no_pressure(copied: Run) -> None:
    scenario = yaml.safe_load((copied.path / SCENARIO).read_text())
    scenario["learner"] = {"kind": "none"}
    (copied.path / SCENARIO).write_text(yaml.safe_dump(scenario))
    for number in (1, 2):
        summary = copied.summary(number) | {"update": None, "canary": None, "adapter": None}
        summary["dose"]["biased_share_pressured"] = None
        (copied.folder(number) / "round.json").write_text(json.dumps(summary))
        path = copied.folder(number) / "selection.parquet"
        pd.read_parquet(path).assign(label=0).to_parquet(path)
    commit_again(copied)
    text = report(copied)
    assert "This is a control" in text
    assert "Nothing was selected" in text
    drift_figure(copied)


def test_drift_png(tiny_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "drift.png"
    save_drift(tiny_run, path)
    height, width = matplotlib.image.imread(path).shape[:2]
    assert width >= 1000 and height >= 800
    shown = " ".join(text.get_text() for text in drift_figure(tiny_run).texts)
    assert headline(tiny_run) in " ".join(shown.split())


def test_every_panel_is_written_alone(tiny_run: Run, tmp_path: Path) -> None:
    written = save_panels(tiny_run, tmp_path / "panels")
    assert {path.name for path in written} >= {"honesty.svg", "honesty.pdf", "self_rating.pdf"}
    assert all(path.read_bytes().startswith((b"%PDF", b"<?xml")) for path in written)
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in save_panels(tiny_run, tmp_path / "panels")] == before
