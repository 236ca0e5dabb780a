#!/usr/bin/env bash
# transformers packs several texts into one row (DataCollatorWithFlattening) and keeps them apart by
# their positions, which start again with each text. It does so only if no cache is made. But a
# cache is made by default, so `model(**batch)` lets each text read the ones before it. Nothing
# warns. A mask of ones has the same effect. Trainer is safe, since it turns the cache off.
#
# Versions: torch 2.13.0, transformers 5.19.0, Python 3.11.
# Seen, for a random Llama and the default attention (sdpa), in training and evaluation alike:
#   loss of three texts, each alone: 5.60
#   packed: 5.17, with use_cache=False: 5.60, and with a mask of ones: 5.17
# What it means: `use_cache` is no matter of speed only. A training loop or an evaluation of one's
# own that packs must pass `use_cache=False` and no mask, and should compare one batch with its
# texts alone.
# It fails if the packed loss is right by default, or wrong without a cache.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.19.0
cat > "$folder/program.py" <<'PY'
import torch
from transformers import DataCollatorWithFlattening, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
)  # fmt: skip
model = LlamaForCausalLM(config)
texts = [torch.randint(0, 64, (length,)) for length in (5, 9, 7)]
batch = DataCollatorWithFlattening()([{"input_ids": text.tolist()} for text in texts])
ones = torch.ones_like(batch["input_ids"])
losses = {}
for training in (True, False):
    model.train(training)
    with torch.no_grad():
        sums = [model(text[None], labels=text[None]).loss * (len(text) - 1) for text in texts]
        losses[training] = [
            float(sum(sums)) / sum(len(text) - 1 for text in texts),
            model(**batch).loss.item(),
            model(**batch, use_cache=False).loss.item(),
            model(**batch, use_cache=False, attention_mask=ones).loss.item(),
        ]
assert losses[True] == losses[False], losses
alone, packed, apart, masked = losses[True]
print(f"loss of three texts, each alone: {alone:.2f}")
print(f"packed: {packed:.2f}, with use_cache=False: {apart:.2f}", end=", ")
print(f"and with a mask of ones: {masked:.2f}")
assert abs(apart - alone) < 1e-3, "wrong without a cache"
assert abs(packed - alone) > 0.1 and abs(masked - alone) > 0.1, "right by default"
PY
"$folder/venv/bin/python" "$folder/program.py" 2> /dev/null
