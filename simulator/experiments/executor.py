"""The protocol of executors: where the runs of a sweep are played."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from simulator.experiments.jobs import Ended, Job


class Executor(Protocol):
    """Plays runs, several at a time. Results are in the runs' folders; it holds none.

    One on a machine that is reached in another way would look like this:

        class OverSsh:
            def run(self, jobs):
                for job in jobs:
                    yield ended_on_the_other_machine(job)
    """

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Play the runs, and yield each when it has ended, in any order.

        Raises:
            StoreError: it can't go on; what is finished is kept.
        """
        ...
