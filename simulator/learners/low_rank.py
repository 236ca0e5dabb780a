"""A linear layer with its low-rank change, as one step of autograd.

peft casts each input to the adapter's fp32 and each sum back, in some fifteen kernels. Here the
adapter is cast to the base's type, which is what the sum is rounded to anyhow; parameters, their
gradients and the optimiser stay in fp32.
"""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.autograd.function import once_differentiable


class _Sum(torch.autograd.Function):
    """The frozen layer's output plus scale · up · down · x."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, frozen: torch.nn.Linear, down: Any, up: Any, scale: float
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        down, scaled = down.to(x.dtype), (scale * up).to(x.dtype)
        low = rows @ down.t()
        out = torch.nn.functional.linear(rows, frozen.weight, frozen.bias)
        ctx.save_for_backward(rows, low, down, scaled)
        ctx.frozen, ctx.scale = frozen, scale
        return out.addmm_(low, scaled.t()).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, low, down, scaled = ctx.saved_tensors
        shape, grad = grad.shape, grad.reshape(-1, grad.shape[-1])
        below = grad @ scaled
        to_input = None
        if ctx.needs_input_grad[0]:
            to_input = (grad @ ctx.frozen.weight).addmm_(below, down)
            to_input = to_input.view(*shape[:-1], -1)
        to_down, to_up = below.t() @ rows, grad.t() @ low
        return to_input, None, to_down.float(), ctx.scale * to_up.float(), None


def fuse_low_rank(model: torch.nn.Module) -> None:
    """Let each linear layer with a LoRA adapter run as one step of autograd."""
    for module in model.modules():
        if isinstance(module, Linear) and isinstance(module.base_layer, torch.nn.Linear):
            module.forward = _fused_forward(module)


def _fused_forward(module: Any) -> Any:
    (name,) = module.active_adapters

    def forward(x: torch.Tensor) -> torch.Tensor:
        # Read when called: a reference's parameters may stand in for the module's.
        down, up = module.lora_A[name].weight, module.lora_B[name].weight
        scale = module.scaling[name]
        return _Sum.apply(x, module.base_layer, down, up, scale)  # type: ignore[no-untyped-call,no-any-return]

    return forward
