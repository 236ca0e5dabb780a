"""Which processes a server's owner has running."""

import psutil

from simulator.backends.server_process import owner_of


def carried_by(owner: int) -> list[psutil.Process]:
    """Returns the processes that name this one as their owner."""
    return [
        process
        for process in psutil.process_iter()
        if (owner_of(process.pid) or "").startswith(f"{owner}:")
    ]


def of_vllm() -> list[psutil.Process]:
    """Returns every process that looks like one of vLLM's, whoever started it."""
    found = []
    for process in psutil.process_iter():
        try:
            if "vllm::" in process.name().lower() or "vllm.entrypoints" in str(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
