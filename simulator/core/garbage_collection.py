"""The garbage collector, told what lives for ever.

torch and transformers make some millions of objects that are never garbage. To search them takes
a second while they are loaded, and seconds on the way. So `python -m simulator` starts with the
collector off, and it is turned on when a model is loaded, with everything until then left out.
"""

import gc


def keep_loaded() -> None:
    """Leave what is loaded out of all later searches, and search from now on."""
    gc.freeze()
    gc.enable()


def free_leftovers() -> None:
    """Free what an earlier run of this process left, if there was one."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
