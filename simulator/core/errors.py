"""The errors that people see: each says what is wrong, where, and how to mend it."""


class UndertowError(Exception):
    """Base of all errors that the command line prints as one sentence."""

    exit_code = 2


class Interrupted(UndertowError):
    """Somebody pressed Ctrl-C; what is committed stays."""

    exit_code = 130


class CostCapReached(UndertowError):
    """Endpoints have cost what the scenario allows; what is committed stays."""

    exit_code = 3


class ScenarioError(UndertowError, ValueError):
    """A scenario, or an override of it, can't be used."""


class StoreError(UndertowError, OSError):
    """A run directory can't be written, read or continued."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "the run directory can't be used"


class BackendError(UndertowError, RuntimeError):
    """A model can't be loaded, or can't do what was asked of it."""


class LearnerError(UndertowError, RuntimeError):
    """An update can't be made or didn't take effect."""


class Diverged(LearnerError):
    """An update's loss or parameters aren't finite any more, or it left nothing to be read."""


class RenamedWarning(FutureWarning):
    """A file uses a former name, which still works."""
