#!/usr/bin/env bash
# transformers takes any step other than one between two `position_ids` for the start of another
# text, and hides all that comes before it. So with positions spread out, as 0, 2, 4, …, each token
# sees itself alone. It does so only without a cache, as Trainer calls a model; with one, as
# `generate` does, the same positions leave the text whole. Nothing warns.
#
# Versions: torch 2.13.0, transformers 5.19.0, Python 3.11.
# Seen, for a random Llama: the largest change of the last token's logits if the first token changes
#   positions 0, 1, 2, …: 1.49 with a cache, 1.49 without
#   positions 0, 2, 4, …: 3.53 with a cache, 0.00 without
#   positions 0, 2, 4, … without a cache, but with a mask of ones: 3.53
# What it means: training with random, spread or skipped positions, to reach longer texts or to cut
# tokens out, trains a model that can't see its context, and decoding then shows it one. Pass an
# attention mask with positions of one's own.
# It fails if spread positions without a cache let the first token through.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.19.0
cat > "$folder/program.py" <<'PY'
import torch
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
)  # fmt: skip
model = LlamaForCausalLM(config).eval()
text = torch.randint(0, 64, (1, 8))
other = text.clone()
other[0, 0] = (text[0, 0] + 1) % 64


@torch.no_grad()
def change(step: int, **options: object) -> float:
    positions = step * torch.arange(8)[None]
    rows = [model(row, position_ids=positions, **options).logits[0, -1] for row in (text, other)]
    return (rows[0] - rows[1]).abs().max().item()


found = {step: (change(step), change(step, use_cache=False)) for step in (1, 2)}
for step, (cached, bare) in found.items():
    print(f"positions 0, {step}, {2 * step}, …: {cached:.2f} with a cache, {bare:.2f} without")
masked = change(2, use_cache=False, attention_mask=torch.ones_like(text))
print(f"positions 0, 2, 4, … without a cache, but with a mask of ones: {masked:.2f}")
assert found[2][1] == 0, "the first token is seen"
assert min(*found[1], found[2][0], masked) > 0.1, "the text is not whole otherwise"
PY
"$folder/venv/bin/python" "$folder/program.py" 2> /dev/null
