#!/usr/bin/env bash
# On a CPU in bfloat16, `generate` takes many times as long for the first token of a frozen model as
# for that of the same model unfrozen, and copies the output head once per row. It asks for the last
# position's logits only, so the head gets a slice with gaps. torch joins the rows of such a slice
# into one product if the weight requires a gradient, though none is recorded. Otherwise it
# multiplies row by row, each with a copy of the weight.
#
# Versions: torch 2.13.0, transformers 5.19.0, peft 0.21.2, Python 3.11, on a CPU with AVX512-BF16
# (it skips itself on others).
# Seen, for 16 rows of 32 tokens, two layers of 576 and a vocabulary of 49,152, each compared with
# the model as it is built:
#   frozen by requires_grad_(False): 38 times as long, 718 MiB more
#   frozen by LoRA: 37 times as long, 721 MiB more
# What it means: freezing, which should save work, makes a large batch's first token the slowest one
# by far, and its memory grows by rows × vocabulary × width. So does a scorer that sets
# `logits_to_keep=1`. Unfreeze the head's weight while decoding, or make the slice contiguous.
# It fails if freezing makes it less than five times as long, or takes less than 300 MiB.
set -euo pipefail
grep -qw avx512_bf16 /proc/cpuinfo || { echo "skipped: this CPU has no AVX512-BF16"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.19.0 peft==0.21.2
cat > "$folder/program.py" <<'PY'
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=2,
    num_attention_heads=9, num_key_value_heads=3, pad_token_id=0, eos_token_id=None,
)  # fmt: skip
model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
if sys.argv[1] == "frozen":
    model.requires_grad_(False)
elif sys.argv[1] == "lora":
    model = get_peft_model(model, LoraConfig(target_modules=["q_proj"])).eval()
prompts = torch.randint(1, 49152, (16, 32))
asked = {"input_ids": prompts, "attention_mask": torch.ones_like(prompts), "do_sample": False}
seconds = []
for _ in range(5):
    started = time.perf_counter()
    model.generate(**asked, max_new_tokens=1)
    seconds.append(time.perf_counter() - started)
print(min(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
PY
for kind in built frozen lora; do
  "$folder/venv/bin/python" "$folder/program.py" "$kind" 2> /dev/null >> "$folder/seen"
done
python3 - "$folder/seen" <<'PY'
import sys

built, frozen, lora = ([float(number) for number in line.split()] for line in open(sys.argv[1]))
for name, row in (("requires_grad_(False)", frozen), ("LoRA", lora)):
    times, more = row[0] / built[0], row[1] - built[1]
    print(f"frozen by {name}: {times:.0f} times as long, {more:.0f} MiB more")
    assert times > 5 and more > 300, "freezing costs little"
PY
