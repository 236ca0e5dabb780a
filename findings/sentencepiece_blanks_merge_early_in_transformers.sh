#!/usr/bin/env bash
# transformers builds a fast tokenizer from a SentencePiece file (`tokenizer.model` alone, as older
# Llama and Mistral checkpoints and many fine-tunes have it). Its merges put runs of blanks before
# words. SentencePiece itself leaves the last blank to the word. So indented code, and any text with
# two blanks in a row, gets token ids that the model was not trained on. Single blanks agree.
#
# Versions: transformers 5.19.0, sentencepiece 0.2.3, mistral-common 1.13.1 (which ships Mistral's
# own tokenizers), protobuf 7.36.2, Python 3.11.
# Seen, for Mistral's v1 and v3 alike:
#   'hello world'    both: ▁hell o ▁world
#   'a  b'           transformers: ▁a ▁▁ b         SentencePiece: ▁a ▁ ▁b
#   'x:\n    return' transformers: … ▁▁▁▁ return   SentencePiece: … ▁▁▁ ▁return
# What it means: give a model its tokenizer.json, and compare token ids with SentencePiece before a
# measurement or a fine-tune on code, lists or transcripts.
# It fails if transformers agrees with SentencePiece on these texts, or no longer does on the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q \
  transformers==5.19.0 sentencepiece==0.2.3 mistral-common==1.13.1 protobuf==7.36.2
cat > "$folder/program.py" <<'PY'
import shutil
import sys
from pathlib import Path

import mistral_common
import sentencepiece
from transformers import LlamaTokenizer

shipped = Path(mistral_common.__file__).parent / "data"
for name in ("tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"):
    folder = Path(sys.argv[1]) / name.rpartition(".")[2]
    folder.mkdir()
    shutil.copy(shipped / name, folder / "tokenizer.model")
    converted = LlamaTokenizer.from_pretrained(str(folder))
    original = sentencepiece.SentencePieceProcessor(model_file=str(shipped / name))
    for text, equal in (("hello world", True), ("a  b", False), ("x:\n    return", False)):
        found, expected = converted.tokenize(text), original.encode(text, out_type=str)
        print(folder.name, repr(text), "transformers:", *found, "| SentencePiece:", *expected)
        assert (found == expected) == equal, text
        assert converted.convert_tokens_to_ids(found) != original.encode(text) or equal
PY
"$folder/venv/bin/python" "$folder/program.py" "$folder" 2> /dev/null
