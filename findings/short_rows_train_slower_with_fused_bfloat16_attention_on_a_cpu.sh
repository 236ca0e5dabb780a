#!/usr/bin/env bash
# On a CPU in bfloat16, torch's fused attention, which it picks by itself, takes several times as
# long forward and backward on short rows as its plain ("math") one. It pays from some 256 tokens
# per row on. In float32 it is the faster one at each length.
#
# Versions: torch 2.13.0, Python 3.11, on a CPU with AVX512-BF16 and without AMX (it skips itself on
# others).
# Seen, for 9 heads of width 64 and 1,024 tokens in all: fused time by plain time, by row length
#   bfloat16: 6.2 for 16, 2.6 for 32, 2.0 for 64, 0.9 for 256
#   float32: 0.8 for 16, 0.8 for 32, 0.9 for 64, 0.9 for 256
# What it means: a fine-tune on short dialogues, or a test with tiny rows, should ask for
# `sdpa_kernel(SDPBackend.MATH)`, or measure both. A profile that was made with long rows misleads.
# It fails if the fused one takes less than twice as long for rows of 16 in bfloat16.
set -euo pipefail
grep -qw avx512_bf16 /proc/cpuinfo || { echo "skipped: this CPU has no AVX512-BF16"; exit 0; }
grep -qw amx_bf16 /proc/cpuinfo && { echo "skipped: this CPU has AMX"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.3.5
cat > "$folder/program.py" <<'PY'
import time
from contextlib import nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as attend

torch.set_num_threads(1)
torch.manual_seed(0)


def ratio(dtype: torch.dtype, length: int) -> float:
    rows = [
        torch.randn(1024 // length, 9, length, 64, dtype=dtype, requires_grad=True)
        for _ in range(3)
    ]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    gradients = {}
    for _ in range(10):
        for fused in (True, False):
            started = time.perf_counter()
            with nullcontext() if fused else sdpa_kernel(SDPBackend.MATH):
                result = attend(*rows, is_causal=True)
            gradients[fused] = torch.autograd.grad(result.sum(), rows)
            seconds[fused].append(time.perf_counter() - started)
            name = type(result.grad_fn).__name__
            assert ("FlashAttention" in name) == fused, name  # torch picks the fused one by itself
    for pair in zip(gradients[True], gradients[False]):
        torch.testing.assert_close(*pair, atol=0.1, rtol=0.1)
    return min(seconds[True]) / min(seconds[False])


for dtype in (torch.bfloat16, torch.float32):
    ratios = {length: ratio(dtype, length) for length in (16, 32, 64, 256)}
    parts = [f"{found:.1f} for {length}" for length, found in ratios.items()]
    print(f"{str(dtype).removeprefix('torch.')}:", ", ".join(parts))
    assert dtype == torch.float32 or ratios[16] > 2, "the fused attention is not slow"
PY
"$folder/venv/bin/python" "$folder/program.py"
