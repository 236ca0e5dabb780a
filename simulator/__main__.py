"""`python -m simulator`: runs a command, and turns every foreseen error into one sentence."""

import gc
import os
import signal
import sys

# Waiting threads should sleep: two busy processes with spinning threads slow each other tenfold.
# This must be set before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def main() -> None:
    """Run the command line; exit with code 2 for a user's mistake, 130 for Ctrl-C."""
    # SIGTERM acts like Ctrl-C, so the run's servers are stopped, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.disable()  # while libraries are loaded; see `simulator.core.garbage_collection`
    try:
        import typer

        from simulator.cli.app import app
        from simulator.cli.usage import UsageMistake, told
        from simulator.core.errors import UndertowError
        from simulator.core.terminal import guard_streams, one_line, shown

        guard_streams()
        try:
            sys.exit(app(standalone_mode=False))
        except UsageMistake as mistake:
            sys.stderr.write(f"{told(mistake)}\n")
            sys.exit(2)
        except typer.Abort:  # no more input
            sys.exit(1)
        except UndertowError as error:
            sys.stderr.write(f"{shown(error)}\n")
            sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)
    except ImportError as error:
        if "not Undertow's" not in str(error):
            raise
        sys.stderr.write(f"{one_line(f'error: {error}')}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
