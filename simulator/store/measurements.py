"""Measurements that runs share: tables by a key of all that they depend on.

    measurements/<key>-<hash of the content>.parquet

Runs in other processes may write the same table at the same time. A file that isn't what its name
says counts as missing.
"""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pandas as pd

from simulator.core.files import write_atomically
from simulator.store.arrow import to_parquet

SHOWN = 32  # digits of a hash in a name


class Measurements:
    """A folder of tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> pd.DataFrame | None:
        """Return the table of a key, or None."""
        for path in sorted(self._folder.glob(f"{key}-*.parquet")):
            content = path.read_bytes()
            if path.stem == f"{key}-{sha256(content).hexdigest()[:SHOWN]}":
                return pd.read_parquet(BytesIO(content))
        return None

    def write(self, key: str, name: str, table: pd.DataFrame) -> None:
        """Write a table, whose schema is that of the name."""
        content = to_parquet(name, table)
        digest = sha256(content).hexdigest()[:SHOWN]
        write_atomically(self._folder / f"{key}-{digest}.parquet", content)
