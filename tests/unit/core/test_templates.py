"""Templates name what they are given; anything else is refused, at once."""

import time

import pytest
from pydantic import ValidationError

from agents.llm_raters import LLMRater
from simulator.core.errors import ScenarioError
from simulator.core.templates import LONGEST, render
from simulator.probes.judged.scales import Scale


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a {{ word }} b", "a hi b"),
        ("{{ word|upper }}", "HI"),
        ("{% if number > 3 %}many{% else %}few{% endif %}", "many"),
        ("{{ 'yes' if word == 'hi' else 'no' }}", "yes"),
        ("  {{ word }}\n", "hi"),
        ("{# nothing #}x", "x"),
        ("{{ markup }}", "{{ word }} <b>"),  # what is filled in is no template
    ],
)
def test_what_templates_do(template: str, text: str) -> None:
    assert render(template, word="hi", number=4, markup="{{ word }} <b>") == text


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**10**10 }}",
        "{{ word + word }}",
        "{{ word.__class__.__mro__ }}",
        "{{ word['__class__'] }}",
        "{{ word|attr('__class__') }}",
        "{{ ''.join(word) }}",
        "{{ word|center(10**9) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ lipsum }}",
        "{{ self }}",
        "{{ cycler() }}",
        "{% set word = 1 %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ unknown }}",
        "{{ word",
        "{% if %}",
        "{{ " + "not " * 5000 + "word }}",
        "{{ " + "(" * 5000 + "word" + ")" * 5000 + " }}",
        "{{ number < word }}",
    ],
)
def test_what_templates_may_not(template: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ScenarioError, match=r"invalid template: .*; available: number, word"):
        render(template, word="hi", number=4)
    assert time.perf_counter() - started < 2


def test_what_is_written_has_an_end() -> None:
    with pytest.raises(ScenarioError, match="the result is longer than"):
        render("{{ word }}" * 100, word="x" * (LONGEST // 50))
    assert len(render("{{ word }}" * 10, word="x" * (LONGEST // 50))) == LONGEST // 5


def test_settings_check_their_templates() -> None:
    assert LLMRater(prompt="{{ thoughts }} {{ low }}").prompt
    with pytest.raises(ValidationError, match="invalid template: unknown name 'wish'"):
        LLMRater(prompt="{{ wish }}")
    with pytest.raises(ValidationError, match="'for' isn't allowed"):
        Scale(question="{% for a in reply %}{% endfor %}")
