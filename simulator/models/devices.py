"""Where a model runs and in which type, when a scenario leaves it to the machine."""

import torch

from simulator.core.errors import BackendError


def device_of(chosen: str) -> torch.device:
    """Returns the device, be it here or not; `auto` is a GPU where there is one.

    Raises:
        BackendError: it is the name of none.
    """
    if chosen == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(chosen)
    except RuntimeError:
        raise BackendError(f"'{chosen}' is no device; cpu, cuda and cuda:1 are such") from None


def usable_device(chosen: str) -> torch.device:
    """Returns the device.

    Raises:
        BackendError: there is no such device here.
    """
    device = device_of(chosen)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter: torch was built without it
        reason = str(error).partition("\n")[0]
        raise BackendError(f"the device '{chosen}' can't be used here: {reason}") from None
    return device


def dtype_of(chosen: str, device: torch.device) -> torch.dtype | str:
    """Returns the type; `auto` is the stored one on a GPU, and float32 on a CPU.

    Few CPUs compute in bfloat16 as fast as in float32, and results repeat there to the byte.
    """
    if chosen != "auto":
        return getattr(torch, chosen)  # type: ignore[no-any-return]
    return torch.float32 if device.type == "cpu" else "auto"
