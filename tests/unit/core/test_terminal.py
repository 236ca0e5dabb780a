"""Nothing raw reaches a terminal, and an error is one line that still says what to do."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from simulator.core.console import InertConsole
from simulator.core.credentials import keep_secret
from simulator.core.errors import BackendError, ScenarioError, StoreError
from simulator.core.terminal import LONGEST, Guarded, harmless, one_line, shown

HOSTILE = "\x1b[31m\x1b]0;title\x07\x9b2J\x08\x00\u202e\u2066\u2028\ud800"


def is_harmless(text: str) -> bool:
    return not set(text) & set(
        HOSTILE.replace("[31m", "").replace("]0;title", "").replace("2J", "")
    )


def test_what_a_terminal_obeys_is_replaced() -> None:
    found = harmless(f"a{HOSTILE}b\tc\r\nd\re")
    assert is_harmless(found)
    assert found.startswith("a�[31m�]0;title��2J") and found.endswith("b\tc\nd�e")


def test_other_scripts_and_joined_emoji_stay() -> None:
    text = "é 漢字\u3000ب\u200cب 👩\u200d💻 \u00a0–\u2060–"
    assert harmless(text) == text


def test_a_table_is_inert_whatever_its_cells_hold() -> None:
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    stream = io.StringIO()
    InertConsole(file=stream, width=200).print(table)
    assert "�" in stream.getvalue() and is_harmless(stream.getvalue())


def test_a_console_keeps_its_own_styles() -> None:
    stream = io.StringIO()
    console = InertConsole(file=stream, force_terminal=True, color_system="standard")
    console.print(Text("red\x1b[0m", style="red"))
    assert stream.getvalue() == "\x1b[31mred�[0m\x1b[0m\n"


def test_a_guarded_stream_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret("planted-in-a-stream")
    stream = io.StringIO()
    guarded = Guarded(stream)
    print(f"{HOSTILE} planted-in-a-stream", file=guarded)
    assert is_harmless(stream.getvalue()) and "planted" not in stream.getvalue()
    assert guarded.write("\r50 %") == 5 and stream.getvalue().endswith("\r50 %")
    monkeypatch.setattr("sys.stdout", guarded)
    InertConsole(force_terminal=True, color_system="standard").print(Text("red", style="red"))
    assert "\x1b[31mred" in stream.getvalue()


def test_a_long_error_loses_its_middle_and_keeps_what_to_do() -> None:
    advice = "set backend.context to the server's"
    line = one_line(f"http://127.0.0.1:1/v1: it said: {'bla ' * 500}; {advice}")
    assert len(line) <= LONGEST
    assert line.startswith("http://127.0.0.1:1/v1: it said: bla") and line.endswith(advice)
    assert " … " in line
    exact = "x" * LONGEST
    assert one_line(exact) == exact


def test_an_error_is_one_line_and_each_mistake_another() -> None:
    assert shown(StoreError("a\nb\r\n\x1b[31mc")) == "error: a b �[31mc"
    found = shown(ScenarioError("one\nmore", "two " * 200)).split("\n")
    assert found[:2] == ["error: 2 mistakes:", "  one more"]
    assert len(found) == 3 and len(found[2]) <= LONGEST


def test_errors_hold_no_secrets() -> None:
    keep_secret("planted-in-an-error")
    for kind in (BackendError, ScenarioError, StoreError):
        error = kind("planted-in-an-error, http://me:pw@host/")
        assert str(error) == "***, http://***@host/"
