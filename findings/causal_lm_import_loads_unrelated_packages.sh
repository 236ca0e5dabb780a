#!/usr/bin/env bash
# Loading a causal language model imports scikit-learn, SciPy's optimisers, torch's compiler and its
# distributed tensors, though decoding uses none of them. And a fifth of the CPU time of that
# import is the garbage collector's, which searches objects that live as long as the process.
#
# Versions: torch 2.13.0, transformers 5.19.0, scikit-learn 1.9.1, scipy 1.17.1, Python 3.11.
# Seen:
#   imported besides: scipy.optimize, sklearn.metrics, torch._dynamo, torch.distributed.tensor
#   CPU seconds with and without garbage collection: 3.29 2.66 (on a busy two-core machine)
# What it means: a tool that starts often should import late, and turn the collector off until its
# libraries are loaded. An environment that happens to hold scikit-learn starts more slowly.
# It fails if one of these packages is no longer imported, or if the collector's part is below 10 %.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.19.0 scikit-learn==1.9.1 scipy==1.17.1
cat > "$folder/program.py" <<'PY'
import gc
import sys
import time

if sys.argv[1] == "off":
    gc.disable()
started = time.process_time()
from transformers import AutoModelForCausalLM  # noqa: E402

AutoModelForCausalLM.from_pretrained  # the class is loaded on first use
seconds = time.process_time() - started
asked = ("scipy.optimize", "sklearn.metrics", "torch._dynamo", "torch.distributed.tensor")
print(f"{seconds:.2f}", *(name for name in asked if name in sys.modules))
PY
run() { "$folder/venv/bin/python" "$folder/program.py" "$1"; }
run on > /dev/null # compiles the bytecode
for turn in 1 2 3; do
  run on >> "$folder/on"
  run off >> "$folder/off"
done
python3 - "$folder/on" "$folder/off" <<'PY'
import statistics
import sys

on, off = ([line.split() for line in open(path)] for path in sys.argv[1:])
imported = on[0][1:]
print("imported besides:", ", ".join(imported))
assert imported == ["scipy.optimize", "sklearn.metrics", "torch._dynamo", "torch.distributed.tensor"]
seconds = [statistics.median(float(row[0]) for row in rows) for rows in (on, off)]
print("CPU seconds with and without garbage collection:", *seconds)
assert seconds[1] < 0.9 * seconds[0], "the collector's part is below a tenth"
PY
