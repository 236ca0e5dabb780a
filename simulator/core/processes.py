"""Worker processes: only their parent stops them, and they don't outlive it."""

import multiprocessing
import os
import signal
import threading

from simulator.core.terminal import guard_streams


def follow_parent() -> None:
    """Guard the streams, ignore Ctrl-C, which the parent handles, and exit when it is gone."""
    guard_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
