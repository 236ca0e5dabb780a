"""Settings of the garbage collector for objects that are never freed.

torch and transformers make millions of objects that are never garbage. Searching them takes a
second while they load, and seconds later. So `python -m simulator` starts with the collector off.
It is turned on once a model is loaded, and skips everything made before.
"""

import gc


def keep_loaded() -> None:
    """Exclude all present objects from collection, and turn the collector on."""
    gc.freeze()
    gc.enable()


def free_leftovers() -> None:
    """Free what an earlier run of this process left."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
