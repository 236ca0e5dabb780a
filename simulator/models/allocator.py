"""How the C library keeps memory that tensors leave."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one block; the most that every glibc takes
KEPT = 512 * 2**20  # bytes of all


def keep_memory() -> None:
    """Lets this process use the memory of large tensors again rather than give it back.

    The system clears each page that it hands out again, which takes up to a third of the time of a
    small model's forward pass. What is computed stays the same. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)
