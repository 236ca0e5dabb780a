#!/usr/bin/env bash
# transformers builds a tokenizer from a GGUF file (`gguf_file=…`), with two differences from what
# the file says. It ignores `add_bos_token`, so texts don't begin with the token that the model was
# trained to see there. And a byte-level tokenizer gets GPT-2's `<|endoftext|>` besides, with an id
# for which the model's embedding has no room: a text that spells it fails at the embedding.
#
# Versions: transformers 5.19.0, gguf 0.19.0, torch 2.13.0, Python 3.11.
# Seen, on a file with 257 words and two special tokens that asks for <s>:
#   tokens of the file: 259, of the tokenizer: 260, added: <|endoftext|>
#   tokens of the text "he": he
# What it means: compare the tokenizer's length with the vocabulary of the file, and its first token
# with add_bos_token, before a converted model is measured or trained. Gemma without its first token
# is useless, and nothing says so.
# It fails if the tokenizer has the file's length, or begins the text with <s>.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.19.0 gguf==0.19.0 torch==2.13.0
cat > "$folder/program.py" <<'PY'
import sys
from pathlib import Path

import gguf
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer

folder = Path(sys.argv[1])
words = [*sorted(ByteLevel.alphabet()), "he", "<s>", "</s>"]
size = len(words)
writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
numbers = {
    "context_length": 64, "block_count": 1, "embedding_length": 32, "feed_forward_length": 32,
    "attention.head_count": 1, "vocab_size": size,
}  # fmt: skip
for key, value in numbers.items():
    writer.add_uint32(f"llama.{key}", value)
writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("llama-bpe")
writer.add_token_list(words)
writer.add_token_types([1] * (size - 2) + [3, 3])  # normal ones, and two control tokens
writer.add_token_merges(["h e"])
writer.add_bos_token_id(size - 2)
writer.add_eos_token_id(size - 1)
writer.add_add_bos_token(True)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file="tiny.gguf")
added = tokenizer.convert_ids_to_tokens(list(range(size, len(tokenizer))))
first = tokenizer.convert_ids_to_tokens(tokenizer("he")["input_ids"])
print(f"tokens of the file: {size}, of the tokenizer: {len(tokenizer)}, added:", *added)
print('tokens of the text "he":', *first)
assert added == ["<|endoftext|>"], added
assert first == ["he"], first
PY
"$folder/venv/bin/python" "$folder/program.py" "$folder" 2> /dev/null
