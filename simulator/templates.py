"""Templates that come from files of users: they can read what they are given, and do nothing."""

from functools import lru_cache

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from simulator.errors import ScenarioError

LONGEST = 20_000  # characters of a rendered text
_SANDBOX = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@lru_cache(maxsize=256)
def _compiled(template: str) -> jinja2.Template:
    return _SANDBOX.from_string(template)


def render(template: str, **values: object) -> str:
    """Fills a template.

    Raises:
        ScenarioError: it is malformed, names something unknown, or does what it may not.
    """
    try:
        text = ""
        for part in _compiled(template).generate(**values):
            text += part
            if len(text) > LONGEST:
                raise ScenarioError(f"a template writes more than {LONGEST:,} characters")
        return text.strip()
    except (jinja2.TemplateError, TypeError, ArithmeticError, OverflowError) as error:
        known = ", ".join(sorted(values))
        raise ScenarioError(f"a template can't be filled: {error} (it may name {known})") from None
