"""Weights laid out as the CPU's matrix products read them.

oneDNN lays out a bfloat16 weight anew for each product. Doing so once makes a step of decoding
about a tenth faster. The weights stay as they are beside this copy, for whatever reads them.
"""

import functools

import torch
from transformers import PreTrainedModel

LARGEST = 2**30  # bytes of copies at most: a larger model's memory counts more than the tenth
ROWS = 64  # a usual batch, for which the layout is chosen


def pack_linears(model: PreTrainedModel) -> None:
    """Let the linear layers of a model in bfloat16 on a CPU use packed weights.

    The weights mustn't change afterwards, so this isn't for types into which adapters are merged.
    """
    head = model.get_output_embeddings()
    layers = [
        module
        for module in model.modules()
        if type(module) is torch.nn.Linear
        and module is not head
        and module.weight.dtype == torch.bfloat16
        and module.weight.device.type == "cpu"
    ]
    size = sum(layer.weight.nbytes for layer in layers)
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if size > LARGEST or not available:
        return
    for layer in layers:
        packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)
        layer.forward = functools.partial(_product, packed, layer.bias)  # type: ignore[method-assign]


def _product(packed: torch.Tensor, bias: torch.Tensor | None, input: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, bias, "none", [], "")
    return found
