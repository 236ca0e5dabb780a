"""An extension of vLLM's workers that says which weights it serves."""

import torch
from safetensors.torch import save_file

from simulator.backends.vllm_worker import MergingWorker


class ReadingWorker(MergingWorker):
    """Writes down the weight of a layer, as its products have it."""

    def write_weight(self, layer: str, path: str) -> None:
        """Write what a linear layer makes of the identity.

        On a CPU the weight itself is packed. Each of these sums has one term, so it is exact.
        """
        module = self.model_runner.get_model().get_submodule(layer)
        given = torch.eye(module.input_size, dtype=self.model_runner.dtype)
        product, _ = module(given)
        save_file({"weight": product.T.contiguous()}, path)
