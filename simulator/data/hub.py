"""Rows of a dataset of the Hugging Face hub; never code from it."""

from collections.abc import Iterator

from simulator.core.csv_rows import Record
from simulator.core.errors import ScenarioError
from simulator.data.readers import plain


def read_hub(name: str) -> Iterator[tuple[str, int, tuple[str, str], Record]]:
    """Yield the rows of all configs and splits: place, number, config and split, and columns.

    Args:
        name: `owner/name`, or `owner/name@revision`.

    Raises:
        ScenarioError: it isn't there, or can't be read.
    """
    try:
        import datasets  # an extra, and slow to import
    except ImportError:
        raise ScenarioError(
            f"file or folder '{name}' not found; if it is a dataset of the hub: "
            "pip install 'undertow[data]'"
        ) from None
    dataset, _, revision = name.partition("@")
    pin = {"revision": revision or None}
    try:
        loaded = {
            config: datasets.load_dataset(dataset, config, **pin)
            for config in datasets.get_dataset_config_names(dataset, **pin)
        }
    except Exception as error:  # networks, gates and strangers' files fail in too many ways to list
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ScenarioError(
            f"file or folder '{name}' not found, and the hub gave no dataset of that name "
            f"({reason}); if it is gated, ask for access on its page and set HF_TOKEN"
        ) from None
    for config, splits in loaded.items():
        for split, rows in splits.items():
            for number, values in enumerate(rows, 1):
                yield f"{name}/{config}/{split}", number, (config, split), plain(values)
