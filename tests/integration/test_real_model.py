"""A real model by name, from the package index to a reply; skipped where no index is reached."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.models.library.cache import VARIABLE, entries, source_of
from simulator.models.resolve import resolve
from tests.helpers.real_models import fetched

# Of the bfloat16 weights, as transformers 5.19 writes them.
CONVERTED = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own, with the fetched model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        source = source_of("smollm2")
        assert source is not None and not source.is_here
        fetched("smollm2")
        yield source.folder


@pytest.mark.slow
def test_a_real_model_is_fetched_and_converted_to_known_bytes(cached: Path) -> None:
    (entry,) = entries()
    assert entry.folder == cached
    assert entry.facts["weights_sha256"] == {"model.safetensors": CONVERTED}
    assert entry.facts["nats_a_token"] > -3.5


@pytest.mark.slow
def test_it_answers_and_asks_for_no_bos(cached: Path) -> None:
    asked = Prompt((Message("user", "What is the capital of France?"),))
    backend = open_backend(TransformersConfig(threads=2), resolve("smollm2"), Stopwatch())
    try:
        request = GenerationRequest(asked, (("real", 0),), max_new_tokens=12, temperature=0.0)
        (found,) = backend.generate([request])
    finally:
        backend.close()
    assert found.completions[0].text.startswith("The capital of France is Paris")


@pytest.mark.slow
def test_the_folder_is_a_plain_hugging_face_model(cached: Path) -> None:
    """A process without our code: a bare stem without <bos>, and the template's default system."""
    program = (
        "import sys, transformers as t\n"
        "k = t.AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "m = t.AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "ids = k('The capital of France is', return_tensors='pt')['input_ids']\n"
        "print(k.decode(m.generate(ids, max_new_tokens=1, do_sample=False)[0]))\n"
        "print(k.apply_chat_template([{'role': 'user', 'content': 'Hi'}], tokenize=False))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(cached)], capture_output=True, text=True, check=True
    )
    stem, chat = done.stdout.split("\n", 1)
    assert stem == "The capital of France is Paris"
    assert chat.startswith("<|im_start|>system\nYou are a helpful AI assistant")
