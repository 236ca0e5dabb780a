"""The device and type that a model runs in."""

import torch

from simulator.core.errors import BackendError


def device_of(chosen: str) -> torch.device:
    """Return the device, available or not; `auto` is a GPU where there is one.

    Raises:
        BackendError: the name is invalid.
    """
    if chosen == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(chosen)
    except RuntimeError:
        raise BackendError(f"invalid device '{chosen}'; use cpu, cuda or cuda:N") from None


def usable_device(chosen: str) -> torch.device:
    """Return the device.

    Raises:
        BackendError: the name is invalid, or the device isn't available here.
    """
    device = device_of(chosen)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter: torch was built without it
        reason = str(error).partition("\n")[0]
        raise BackendError(f"device '{chosen}' isn't available here: {reason}") from None
    return device


def dtype_of(chosen: str, device: torch.device) -> torch.dtype | str:
    """Return the type; `auto` is the stored one on a GPU, and float32 on a CPU.

    Few CPUs are as fast in bfloat16 as in float32, and there float32 results repeat to the byte.
    """
    if chosen != "auto":
        return getattr(torch, chosen)  # type: ignore[no-any-return]
    return torch.float32 if device.type == "cpu" else "auto"
