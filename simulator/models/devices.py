"""The device and type that a model runs in."""

import torch
from transformers import PretrainedConfig

from simulator.core.errors import BackendError
from simulator.models.heads import SMALL_HEAD


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


def dtype_of(chosen: str, device: torch.device, config: PretrainedConfig) -> torch.dtype | str:
    """Return the type of a model's weights.

    `auto` is the stored type on a GPU. On a CPU it is bfloat16 if the CPU has instructions for it,
    the weights are stored so, and the model isn't small; else float32. A small model gains nothing
    from bfloat16, and in float32 its results repeat to the byte.
    """
    if chosen != "auto":
        return getattr(torch, chosen)  # type: ignore[no-any-return]
    if device.type != "cpu":
        return "auto"
    is_stored = config.get_text_config().dtype == torch.bfloat16 or config.dtype == torch.bfloat16
    fast = has_bfloat16() and is_stored and not is_small(config)
    return torch.bfloat16 if fast else torch.float32


def has_bfloat16() -> bool:
    """Return whether this CPU multiplies matrices in bfloat16 by instructions of its own."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def is_small(config: PretrainedConfig) -> bool:
    """Return whether a model is so small that overhead, not arithmetic, takes its time."""
    text = config.get_text_config()
    return bool(getattr(text, "hidden_size", 0) * getattr(text, "vocab_size", 0) <= SMALL_HEAD)
