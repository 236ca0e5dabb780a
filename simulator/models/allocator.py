"""What a process keeps in memory for later tensors: freed blocks, and few compiled products."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one block; the largest value that every glibc accepts
KEPT = 512 * 2**20  # bytes in total
# oneDNN keeps the last 1,024 products that it compiled, one per shape, with what each works in.
# With prompts of many lengths that is hundreds of megabytes. With so many it is as fast.
PRODUCTS = 64


def keep_memory() -> None:
    """Make this process reuse the memory of large tensors instead of returning it.

    The system clears each page that it hands out, which takes up to a third of a small model's
    forward pass. Results stay the same. Other C libraries are left alone, and so is a person's own
    limit for oneDNN, which reads it before its first product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(PRODUCTS))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)
