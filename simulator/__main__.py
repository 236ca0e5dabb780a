"""`python -m simulator`: runs a command, and turns every foreseen error into one sentence."""

import gc
import os
import signal
import sys

# Threads that wait should sleep: two busy processes whose threads spin slow each other tenfold.
# It must be said before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def main() -> None:
    """Entry point of the command line; exit code 2 for a user's mistake, 130 for Ctrl-C."""
    # Who is told to end stops as by Ctrl-C, and ends the servers that it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.disable()  # while libraries are loaded; see `simulator.core.garbage_collection`
    try:
        from simulator.cli.app import app
        from simulator.core.errors import UndertowError

        try:
            app(standalone_mode=True)
        except UndertowError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)
    except ImportError as error:
        if "not Undertow's" not in str(error):
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
