"""Making the C library keep freed memory for later tensors."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one block; the largest value that every glibc accepts
KEPT = 512 * 2**20  # bytes in total


def keep_memory() -> None:
    """Make this process reuse the memory of large tensors instead of returning it.

    The system clears each page that it hands out, which takes up to a third of a small model's
    forward pass. Results stay the same. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)
