#!/usr/bin/env bash
# On a CPU, each linear layer in bfloat16 keeps a compiled product for each number of rows that it
# was ever given, about 0.6 MB each whatever its width. Two caches hold them: oneDNN's own, and a
# second one that is built into torch, each with room for 1,024. ONEDNN_PRIMITIVE_CACHE_CAPACITY,
# which oneDNN documents, limits the first one only, and LRU_CACHE_CAPACITY the second one only.
# The memory stays until both are small. float32 keeps nothing.
#
# Versions: torch 2.13.0, Python 3.11, on a CPU with AVX512-BF16 (it skips itself on others).
# Seen, for the four shapes of a 135M-parameter model's layers and 1 to 250 rows:
#   MiB kept in bfloat16: 597, with oneDNN's limit: 270, with torch's limit: 339, with both: 3
#   MiB kept in float32: 1
# What it means: a server or a loop with prompts of many lengths grows by hundreds of megabytes per
# process, and it looks like a leak. Set both variables before the first product, or pad the rows
# to few lengths.
# It fails if the memory stays small without limits, or with one, or grows with both.
set -euo pipefail
grep -qw avx512_bf16 /proc/cpuinfo || { echo "skipped: this CPU has no AVX512-BF16"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.3.5
cat > "$folder/program.py" <<'PY'
import ctypes
import resource
import sys
from pathlib import Path

import torch

ROWS, SHAPES = 250, ((576, 576), (576, 192), (576, 1536), (1536, 576))
torch.set_num_threads(1)
dtype = getattr(torch, sys.argv[1])


def resident() -> float:
    ctypes.CDLL(None).malloc_trim(0)  # what is freed does not count
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


with torch.inference_mode():
    layers = [torch.nn.Linear(*shape, bias=False, dtype=dtype) for shape in SHAPES]
    inputs = [torch.zeros(ROWS, layer.in_features, dtype=dtype) for layer in layers]
    for layer, rows in zip(layers, inputs):
        layer(rows)
    before = resident()
    for count in range(1, ROWS):
        for layer, rows in zip(layers, inputs):
            layer(rows[:count])
    print(round(resident() - before))
PY
kept() { env "${@:2}" "$folder/venv/bin/python" "$folder/program.py" "$1"; }
onednn=ONEDNN_PRIMITIVE_CACHE_CAPACITY=8 torch=LRU_CACHE_CAPACITY=8
free=$(kept bfloat16) first=$(kept bfloat16 $onednn) second=$(kept bfloat16 $torch)
both=$(kept bfloat16 $onednn $torch) single=$(kept float32)
echo "MiB kept in bfloat16: $free, with oneDNN's limit: $first, with torch's limit: $second," \
  "with both: $both"
echo "MiB kept in float32: $single"
((free > 200 && first > 100 && second > 100)) || { echo "little is kept" >&2; exit 1; }
((both < 50 && single < 50)) || { echo "much is kept" >&2; exit 1; }
