"""Processes of ours: they are stopped by their parent alone, and don't outlive it."""

import multiprocessing
import os
import signal
import threading


def follow_parent() -> None:
    """Leaves it to the parent to stop this process, and ends with the parent if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
