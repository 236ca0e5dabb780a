"""Errors are one line, whatever they quote."""

import pytest

from simulator.core.errors import BackendError, ScenarioError, StoreError, UndertowError


@pytest.mark.parametrize("kind", [BackendError, StoreError, ScenarioError])
def test_a_quoted_text_of_several_lines_stays_in_one(kind: type[UndertowError]) -> None:
    assert str(kind("run: it says 'a\n\n  b\r\nc'")) == "run: it says 'a b c'"


def test_equal_mistakes_are_told_once() -> None:
    assert ScenarioError("a\nb", "a b", "c").mistakes == ("a b", "c")
