"""Secrets and escape sequences, planted wherever they can come from, and looked for everywhere.

The command line runs as a process, against an endpoint that repeats the key in every way it can.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.commands import command
from tests.helpers.planted_secrets import holders, watched_processes
from tests.helpers.scripted_endpoint import Scripted, scripted, with_top

ROOT = Path(__file__).parents[2]
KEY, TOKEN, PASSWORD = "quokka-key-7f3a9c", "hf_numbatTOKEN5678dingo", "wombat-pass-word41"
PROXY_HEADER = "bWU6d29tYmF0LXBhc3Mtd29yZDQx"  # me and the password, as a header has them
# Their beginnings and ends: a text that is cut may end within a secret.
SECRETS = ("quokka", "7f3a9c", "numbat", "dingo", "wombat", "word41", "bWU6d29t", "d29yZDQx")
HOSTILE = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e"
SCENARIO = r"""
extends: therapy
name: planted
rounds: 1
model: assistant
backend: {{kind: openai, url: "{url}", key_variable: PLANTED, retries: 0, input_price: 1}}
population: {{users: 2}}
conversations: {{turns: 1, wave_size: 2, max_new_tokens: 8}}
learner: {{kind: none}}
roles:
  judge:
    model: "judge \e[31m\a\x9b2J\u202e"
    backend: {{kind: openai, url: "{url}", key_variable: PLANTED, retries: 0}}
measure:
  probes:
    judged: {{samples: 1, max_new_tokens: 8, prompts: [{{name: a, topic: x, text: Hello}}]}}
"""


Done = subprocess.CompletedProcess[str]


class Shell(NamedTuple):
    """Runs commands in a folder, and keeps the command lines that were seen meanwhile."""

    folder: Path
    server: Scripted
    seen: set[str]

    def call(self, *words: str, stdin: str = "", **variables: str) -> Done:
        planted = {"PLANTED": KEY, "HF_TOKEN": TOKEN, **variables}
        env = {**os.environ, "PYTHONPATH": str(ROOT), **planted}
        with watched_processes() as seen:
            done = subprocess.run(
                command(*words), capture_output=True, text=True, cwd=self.folder, input=stdin,
                env=env,
            )  # fmt: skip
        self.seen.update(seen)
        for stream in (done.stdout, done.stderr):
            assert not [secret for secret in SECRETS if secret in stream]
            assert not {c for c in HOSTILE if not c.isprintable()} & set(stream)
        assert any(words[0] in line for line in seen)
        assert not [line for line in self.seen for secret in SECRETS if secret in line]
        return done

    def scenario(self, name: str, url: str = "") -> str:
        path = self.folder / name
        url = url or f"http://127.0.0.1:{self.server.server_port}/v1"
        path.write_text(SCENARIO.format(url=url))
        return str(path)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with scripted() as server:
        yield Shell(tmp_path, server, set())


def said(text: str) -> dict[str, object]:
    """An answer that repeats the key: in a reply, a thought, likeliest tokens, and more fields."""
    found = with_top({"7": -0.1, KEY: -3.0, HOSTILE: -4.0}, f"{text} {KEY} {TOKEN} {HOSTILE}")
    found["choices"][0]["message"]["reasoning_content"] = f"thinking of {KEY} {HOSTILE}"
    return {**found, "system_fingerprint": KEY}


def private(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in (folder, *folder.rglob("*")):
        yield path, path.stat().st_mode & 0o777


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_run_keeps_what_an_endpoint_repeats_to_itself(shell: Shell, open_umask: None) -> None:
    shell.server.say(200, said("7"))
    out = f"run {HOSTILE}"
    done = shell.call("run", "--scenario", shell.scenario("s.yaml"), "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"Bearer {KEY}" in shell.server.keys
    run = shell.folder / out
    assert not holders(run, SECRETS)
    assert holders(run, ["7 *** ***"]) and holders(run, ["thinking of ***"])
    for path, mode in private(run):
        assert mode == (0o700 if path.is_dir() else 0o600), path
    shown = shell.call("show", out)
    assert shown.returncode == 0 and "judge �[31m�2J�" in shown.stdout.replace("��", "�")


@pytest.mark.slow
def test_other_commands_on_such_a_run(shell: Shell, open_umask: None) -> None:
    shell.server.say(200, said("7"))
    assert shell.call("run", "--scenario", shell.scenario("s.yaml"), "--out", "run").returncode == 0
    shell.server.say(200, said("a " * 99 + "a"))
    shell.server.script.pop(0)
    talk = shell.call("chat", "run", stdin=f"hello {HOSTILE}\n\n")
    assert talk.returncode == 0, talk.stderr
    assert talk.stdout.splitlines()[1].startswith("assistant: " + "a " * 100 + "***")
    for words in (("probe", "run", "--probes", "judged", "--set", "samples=2"),
                  ("report", "run", "--out", "sent.html"), ("report", "run"),
                  ("run", "--scenario", "s.yaml", "--json")):  # fmt: skip
        done = shell.call(*words)
        assert done.returncode == 0, done.stderr
    assert not holders(shell.folder, SECRETS)
    assert (shell.folder / "sent.html").stat().st_mode & 0o777 == 0o666
    assert all(not mode & 0o077 for _, mode in private(shell.folder / "run"))


Plan = Callable[[Shell], tuple[str, dict[str, str]]]


def refused(shell: Shell) -> tuple[str, dict[str, str]]:
    long = f"Incorrect key: {KEY}, {HOSTILE} {'and so on ' * 60} {KEY}"
    shell.server.say(401, {"error": {"message": long, "code": KEY}})
    return "", {}


def refused_by_a_page(shell: Shell) -> tuple[str, dict[str, str]]:
    # The cut comes within the key.
    shell.server.say(403, f"<html>{'x' * 146}{KEY}{HOSTILE}\n{KEY}</html>")
    return "", {}


def answered_by_a_page(shell: Shell) -> tuple[str, dict[str, str]]:
    shell.server.say(200, f"<html>{'x' * 60}{KEY}{HOSTILE}\n{KEY}</html>")
    return "", {}


def redirected(shell: Shell) -> tuple[str, dict[str, str]]:
    shell.server.say(200, "{}")
    here = f"127.0.0.1:{shell.server.server_port}"
    shell.server.elsewhere = f"http://me:{PASSWORD}@{here}/other?api_key={KEY}"
    return "", {}


def refused_by_a_proxy(shell: Shell) -> tuple[str, dict[str, str]]:
    shell.server.say(407, f"Proxy-Authorization: Basic {PROXY_HEADER} of me:{PASSWORD} {HOSTILE}")
    proxy = f"http://me:{PASSWORD}@127.0.0.1:{shell.server.server_port}"
    return "http://endpoint.invalid/v1", {"HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": ""}


def without_a_proxy(shell: Shell) -> tuple[str, dict[str, str]]:
    proxy = f"http://me:{PASSWORD}@127.0.0.1:9"
    return "http://endpoint.invalid/v1", {"HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [refused, refused_by_a_page, answered_by_a_page, redirected, refused_by_a_proxy,
     without_a_proxy],
)  # fmt: skip
def test_an_error_is_one_line_without_secrets(shell: Shell, plan: Plan) -> None:
    url, variables = plan(shell)
    done = shell.call(
        "run", "--scenario", shell.scenario("s.yaml", url), "--out", "run", **variables
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(line) <= 300
    after = done.stderr.partition(line)[2].strip()
    assert not after or after.startswith("nanobind")  # of a library
    assert not holders(shell.folder, SECRETS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--set", f"backend.url=http://me:{PASSWORD}@h/v1"),
        ("run", "--set", f"backend.url=http://h/v1?key={KEY}"),
        ("validate", "s.yaml", "--set", f"backend.key_variable={KEY}"),
        ("validate", "s.yaml", "--set", f"backend.extra_body.Authorization={KEY}"),
        ("validate", "s.yaml", "--set", f"backend.extra_body.x=as {KEY}"),
        ("validate", "s.yaml", "--set", f"description=as {KEY}"),
    ],
)
def test_what_is_refused_is_not_repeated(shell: Shell, words: tuple[str, ...]) -> None:
    scenario = shell.scenario("s.yaml")
    given = [scenario if word == "s.yaml" else word for word in words]
    env = {**os.environ, "PLANTED": KEY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command(*given), capture_output=True, text=True, cwd=shell.folder, env=env
    )  # what a person types stands in the list of processes
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    assert not [secret for secret in SECRETS if secret in done.stderr + done.stdout]
    assert not holders(shell.folder, SECRETS)


def test_hostile_names_and_keys_are_shown_inert(shell: Shell) -> None:
    path = shell.folder / f"{HOSTILE}.yaml"
    path.write_text(f"extends: quickstart\n{json.dumps(HOSTILE)}: 1\nrounds: {json.dumps(HOSTILE)}")
    done = shell.call("validate", str(path))
    assert done.returncode == 2
    first, *mistakes = done.stderr.splitlines()
    assert first == "error: 2 mistakes:" and len(mistakes) == 2
    assert shell.call("show", f"no {HOSTILE}").stderr.count("\n") == 1
    assert shell.call("show", "a", f"b {HOSTILE}").returncode == 2
