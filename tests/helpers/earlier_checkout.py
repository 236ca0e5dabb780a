"""The project as it was at a commit, for benchmarks that compare it with the present one."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def checkout_of(commit: str, folder: Path) -> Path:
    """Unpacks a commit into a folder."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def called(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with a checkout's packages."""
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.run(
        [sys.executable, *words], env=env, cwd=checkout, capture_output=True, text=True, check=True
    )
