"""Where a model runs and in which type, when a scenario leaves it to the machine."""

import torch


def device_of(chosen: str) -> torch.device:
    """Returns the device; `auto` is a GPU where there is one."""
    if chosen != "auto":
        return torch.device(chosen)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_of(chosen: str, device: torch.device) -> torch.dtype | str:
    """Returns the type; `auto` is the stored one on a GPU, and float32 on a CPU.

    Few CPUs compute in bfloat16 as fast as in float32, and results repeat there to the byte.
    """
    if chosen != "auto":
        return getattr(torch, chosen)  # type: ignore[no-any-return]
    return torch.float32 if device.type == "cpu" else "auto"
