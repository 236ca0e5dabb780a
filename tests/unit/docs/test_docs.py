"""What the documentation says is so: generated parts, links, files, YAML and commands."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.generate import MARKED, PARTS, generated, slug, stale
from simulator.cli.app import app
from simulator.cli.schemas import check
from simulator.config.loading import find, load
from simulator.studies.plan import Tier, plan_study

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(
    r"(?<![\w/.:-])((?:simulator|agents|analysis|scenarios|tests|docs|\.ci)/[\w./-]*[\w/])"
)
CALL = re.compile(r"^(?:\.venv/bin/)?python -m simulator (.*?)(?:\s+#.*)?$", re.MULTILINE)
OURS_TO_FIND = {"PATH_OR_HUB_ID": "organism:0", "RUN": "runs/x", "FILE": "x.jsonl"}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def fenced(page: str, *languages: str) -> list[str]:
    return [block for language, block in FENCED.findall(text(page)) if language in languages]


def prose(page: str) -> str:
    return FENCED.sub("", text(page))


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {slug(heading) for heading in headings}


def dead_links(page: str) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(str(path))):
            yield target


def missing_files(page: str) -> list[str]:
    return [name for name in FILE.findall(text(page)) if not (ROOT / name).exists()]


def calls(page: str) -> list[list[str]]:
    """Every call of the command line in a page, as words."""
    blocks = (re.sub(r"\\\n\s*", "", block) for block in fenced(page, "bash"))  # lines that go on
    found = [call for block in blocks for call in CALL.findall(block)]
    found += re.findall(r"`python -m simulator ([^`]+)`", prose(page))
    return [
        [OURS_TO_FIND.get(word, word) for word in shlex.split(call.partition(">")[0])]
        for call in found
    ]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Parse a call as the command line does, and run nothing."""
    command, path = typer.main.get_command(app), ["simulator"]
    while commands := getattr(command, "commands", None):
        if not words and getattr(command, "invoke_without_command", False):
            return " ".join(path[1:]), {}
        command, words = commands[words[0]], words[1:]
        path.append(str(command.name))
    return " ".join(path[1:]), command.make_context(" ".join(path), list(words)).params


def checked(words: list[str]) -> None:
    """Hold what a call names against what is there."""
    command, given = parsed(words)
    source = given.get("file") or given.get("source") or given.get("name")
    overrides = tuple(given.get("overrides") or ())
    if command in ("run", "judge-check") and given["scenario"] not in EXAMPLES:
        load(given["scenario"], overrides=overrides, biased_frac=given.get("biased_frac"))
    elif command in ("sweep", "validate") and source not in {*EXAMPLES, *TO_BE_BUILT, "status"}:
        assert check(str(source), overrides, lambda sentence: None)
    elif command == "study" and source and source != "NAME":
        assert plan_study(str(source), Tier(bool(given.get("quick")))).cells


EXAMPLES = {
    f"{name}.yaml"
    for page in NAMES
    for block in fenced(page, "yaml")
    for name in re.findall(r"^name: (\w+)$", block, re.MULTILINE)
}  # that readers save from a page; each is checked as YAML
TO_BE_BUILT = {"scenarios/sweeps/ablations.yaml"}  # its bases are; tests/unit/cli reads the file


def test_the_front_page_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 130
    assert len(text("README.md").encode()) <= 8000


def test_generated_parts_are_in_step() -> None:
    assert list(stale()) == [], "run: python docs/generate.py"


@pytest.mark.parametrize("page", PARTS)
def test_a_stale_part_is_found(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, page, {name: lambda: "Something else." for name in PARTS[page]})
    written = generated(page)
    assert written != text(f"docs/{page}")
    assert [part for _, part, _ in MARKED.findall(written)] == list(PARTS[page])
    assert written.count("Something else.") == len(PARTS[page])


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str) -> None:
    assert list(dead_links(page)) == []


@pytest.mark.parametrize("page", NAMES)
def test_files_that_are_named_exist(page: str) -> None:
    assert missing_files(page) == []


@pytest.mark.parametrize("page", NAMES)
def test_tests_that_are_named_exist(page: str) -> None:
    assert set(re.findall(r"`(test_\w+)[`[]", prose(page))) <= defined_tests()


@cache
def defined_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }


def test_dead_links_and_missing_files_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n[a](#a-page) [b](#b-page) [c](nowhere.md) see `docs/nowhere.md`\n")
    assert list(dead_links(str(page))) == ["#b-page", "nowhere.md"]
    assert missing_files(str(page)) == ["docs/nowhere.md"]


def test_every_page_is_linked_from_the_front() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(text("README.md"))}
    pages = {name for name in NAMES if name.count("/") < 2 and name != "README.md"}
    assert pages <= linked


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(page, block, id=f"{page}-{number}")
        for page in NAMES
        for number, block in enumerate(fenced(page, "yaml"))
    ],
)
def test_yaml_examples_are_valid(page: str, block: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(block)
    assert check(str(path), (), lambda sentence: None)


@pytest.mark.parametrize("page", NAMES)
def test_commands_are_valid(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for words in calls(page):
        checked(words)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("run --biased-frak 0.1", "--biased-frak"),
        ("run --set rounds=none", "rounds"),
        ("sweep scenarios/sweeps/none.yaml", "none"),
        ("study none", "none"),
        ("validate none", "none"),
    ],
)
def test_mistaken_commands_are_found(
    call: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(Exception, match=words):
        checked(call.split())


def test_commands_are_found_at_all() -> None:
    assert sum(len(calls(page)) for page in NAMES) > 40
    assert find("quickstart").is_file()
