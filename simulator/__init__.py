"""Undertow's engine: populations, conversations, selection, updates, and the loop around them."""

import importlib.util
from pathlib import Path

__version__ = "0.1.0"


def _check_neighbours() -> None:
    """Make sure that `agents` and `analysis` are ours: other distributions use these names too."""
    home = Path(__file__).resolve().parent.parent
    for name in ("agents", "analysis", "scenarios"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            raise ImportError(
                f"the package '{name}' that Python finds is not Undertow's ({origin}); another "
                "distribution in this environment uses its name: install Undertow in an "
                "environment of its own"
            )


_check_neighbours()
