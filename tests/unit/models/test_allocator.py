"""Memory that large arrays leave is used again, and not asked of the system each time."""

import subprocess
import sys

ROUNDS = """
import resource
import numpy as np
from simulator.models.allocator import keep_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fill():
    arrays = [np.empty(16 * 2**20, np.uint8) for _ in range(6)]
    for array in arrays:
        array.fill(1)

def faults_of(rounds):
    fill()  # what the first round takes is new in any case
    before = faults()
    for _ in range(rounds):
        fill()
    return faults() - before

given_back = faults_of(10)
keep_memory()
print(given_back, faults_of(10))
"""


def test_kept_memory_is_not_cleared_again() -> None:
    # In a process of its own: the setting holds for the whole process.
    command = [sys.executable, "-c", ROUNDS]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    given_back, kept = map(int, told.split())
    assert kept * 10 < given_back
