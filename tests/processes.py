"""Which processes a server's owner has running."""

import psutil

from simulator.backends.server import OWNER


def carried_by(owner: int) -> list[psutil.Process]:
    """Returns the processes that name this one as their owner."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(OWNER, "").startswith(f"{owner}:"):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
