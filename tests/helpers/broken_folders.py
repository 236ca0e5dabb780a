"""Ways in which a model's folder is broken: each changes a whole one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Change = Callable[[Path], Any]
BLOCKED = "model.layers.1.mlp.down_proj.weight"


def edit(file: Path, **changes: Any) -> None:
    """Change a JSON file; None removes a key."""
    found = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


def configured(**changes: Any) -> Change:
    return lambda folder: edit(folder / "config.json", **changes)


def without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    """Change the tensors in a folder."""

    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return rewrite


def sharded(*missing: str) -> Change:
    """Split the weights in two files, and remove some of what they come with."""

    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        listed: dict[str, str] = {}
        for number in (1, 2):
            name = f"model-0000{number}-of-00002.safetensors"
            part = {k: t for n, (k, t) in enumerate(tensors.items()) if n % 2 == number - 1}
            save_file(part, folder / name, {"format": "pt"})
            listed |= dict.fromkeys(part, name)
        index = {"metadata": {}, "weight_map": listed}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        without(*missing)(folder)

    return change


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def overlapping(folder: Path) -> None:
    """The header says another shape than its bytes have."""
    file = folder / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header[BLOCKED]["shape"][0] += 1
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def write(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def nested(folder: Path) -> None:
    inner = folder / "checkpoint-500"
    inner.mkdir()
    (folder / "config.json").rename(inner / "config.json")


def added(folder: Path, number: int, text: str, *, special: bool) -> None:
    """Add a token to a tokenizer's files."""
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text())
    whole["added_tokens"].append(
        {"id": number, "content": text, "special": special, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
    )  # fmt: skip
    file.write_text(json.dumps(whole))
