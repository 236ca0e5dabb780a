#!/usr/bin/env bash
# Gemma 2 was trained with capped attention scores (`attn_logit_softcapping`, 50). By default
# transformers runs it with sdpa, which ignores the cap without a warning: it computes what eager
# attention computes with no cap at all. A config.json that asks for eager attention, as a guard, is
# heard, but the model's next `save_pretrained` drops that line.
#
# Versions: torch 2.13.0, transformers 5.19.0, Python 3.11.
# Seen, for a random Gemma 2 with large weights, the largest difference of a logit:
#   default (sdpa) from eager: 1.0114, from eager without the cap: 0.0000
#   attention of a checkpoint that asks for eager: eager, saved and loaded again: sdpa
#   warnings: 0
# What it means: pass `attn_implementation="eager"` wherever a Gemma 2 is trained, compared with
# another engine, or published with figures, above all after a fine-tune was saved.
# It fails if sdpa heeds the cap, if a warning comes, or if the choice of attention is saved.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.19.0
cat > "$folder/program.py" <<'PY'
import json
import logging
import sys
import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM
from transformers.utils import logging as transformers_logging

heard: list[str] = []
transformers_logging.disable_progress_bar()
transformers_logging.disable_default_handler()
handler = logging.Handler(logging.WARNING)
handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
transformers_logging.add_handler(handler)
warnings.showwarning = lambda message, *_: heard.append(str(message))  # type: ignore[assignment]

torch.manual_seed(0)
folder = Path(sys.argv[1])
config = Gemma2Config(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8,
    initializer_range=1.0,
)  # fmt: skip
Gemma2ForCausalLM(config).save_pretrained(folder / "plain")
texts = torch.randint(0, 64, (4, 24))


@torch.no_grad()
def logits(**options: object) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder / "plain", **options).eval()
    return model(texts, use_cache=False).logits


default, eager = logits(), logits(attn_implementation="eager")
bare = logits(attn_implementation="eager", attn_logit_softcapping=None)
differences = [(default - other).abs().max().item() for other in (eager, bare)]
print("default (sdpa) from eager: {:.4f}, from eager without the cap: {:.4f}".format(*differences))
assert differences[0] > 0.1 and differences[1] < 1e-3, "sdpa heeds the cap"

settings = folder / "plain" / "config.json"
written = json.loads(settings.read_text())
settings.write_text(json.dumps(written | {"_attn_implementation": "eager"}))
model = AutoModelForCausalLM.from_pretrained(folder / "plain")
model.save_pretrained(folder / "again")
again = AutoModelForCausalLM.from_pretrained(folder / "again")
asked, saved = (each.config._attn_implementation for each in (model, again))
print(f"attention of a checkpoint that asks for eager: {asked}, saved and loaded again: {saved}")
print("warnings:", len(heard), *heard)
assert (asked, saved, heard) == ("eager", "sdpa", []), "the choice is saved, or a warning came"
PY
"$folder/venv/bin/python" "$folder/program.py" "$folder" 2> /dev/null
