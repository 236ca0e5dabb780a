"""Templates from users' files: they can name given values, and nothing else.

The allowed parts of a template are listed: values by name, a few filters, and conditions. So a
template can't reach attributes, and has no loops or sums that take time or memory.
"""

from functools import lru_cache

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator

from simulator.core.errors import ScenarioError

LONGEST = 1_000_000  # characters of a rendered text
_FILTERS = frozenset(("capitalize", "length", "lower", "title", "trim", "upper"))
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter,
    nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or,
)  # fmt: skip
_SANDBOX = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def naming(*names: str) -> AfterValidator:
    """Return a validator for templates that name only these values."""

    def check(template: str) -> str:
        render(template, **dict.fromkeys(names, ""))
        return template

    return AfterValidator(check)


def render(template: str, **values: object) -> str:
    """Fill a template.

    Raises:
        ScenarioError: it is malformed, names an unknown value, does what isn't allowed, or writes
            too much.
    """
    try:
        parsed = _compiled(template)
        if unknown := parsed.names - values.keys():
            raise jinja2.UndefinedError(f"unknown name '{min(unknown)}'")
        text = ""
        for part in parsed.template.generate(**values):
            text += part
            if len(text) > LONGEST:
                raise jinja2.TemplateError(f"the result is longer than {LONGEST:,} characters")
    except (jinja2.TemplateError, TypeError, RecursionError) as error:
        known = ", ".join(sorted(values))
        raise ScenarioError(f"invalid template: {error}; available: {known}") from None
    return text.strip()


class _Compiled:
    """A checked template, and the values that it names."""

    def __init__(self, source: str) -> None:
        tree = _SANDBOX.parse(source)
        for node in tree.find_all(nodes.Node):
            allowed = isinstance(node, _ALLOWED)
            if isinstance(node, nodes.Filter):
                allowed = node.name in _FILTERS and not (node.args or node.kwargs)
            if not allowed:
                what = getattr(node, "name", "") or type(node).__name__.lower()
                raise jinja2.TemplateError(f"line {node.lineno}: '{what}' isn't allowed")
        self.names = frozenset(name.name for name in tree.find_all(nodes.Name))
        self.template = _SANDBOX.from_string(source)


@lru_cache(maxsize=256)
def _compiled(source: str) -> _Compiled:
    return _Compiled(source)
