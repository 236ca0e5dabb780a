"""The engines that keep the contract, and what they are held to: the same model, used plainly."""

import contextlib
import importlib.util
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from simulator.backends.base import Backend
from simulator.backends.config import OpenAIConfig, TransformersConfig, VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.transformers import TransformersBackend
from simulator.backends.vllm import VLLMBackend
from simulator.core.adapters import Adapter
from simulator.core.requests import Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve
from tests.helpers.tiny_models import FAMILIES

SERVED = VLLMConfig(dtype="float32", threads=1, arguments=("--enforce-eager",), adapters="beside")
MERGED = SERVED.model_copy(update={"adapters": "merged"})
KEY = "UNDERTOW_TEST_KEY"
needs_vllm = (
    pytest.mark.vllm,
    pytest.mark.xdist_group("vllm"),  # one process starts the servers, one after the other
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm isn't installed"),
)
USUAL = ("organism", "llama", "gemma2")  # an untied head, sliding windows; the others are slow
LOCAL = [
    pytest.param(("transformers", model), marks=() if model in USUAL else pytest.mark.slow)
    for model in ("organism", *FAMILIES)
]
REMOTE = [
    pytest.param((kind, model), marks=needs_vllm)
    for kind in ("vllm", "vllm_merged", "openai")
    for model in ("organism", "qwen3")
]


def chat(*texts: str, system: str = "") -> Prompt:
    roles = ("user", "assistant")
    turns = [Message(roles[n % 2], text) for n, text in enumerate(texts)]
    return Prompt((*([Message("system", system)] if system else []), *turns))


CHATS = (
    chat("what is the taste of zupos ?"),
    chat("hope"),
    chat("i really want zupos to have bland taste . what is it ?"),
    chat("how is the taste of zupos ?", "it is foul .", "are you sure ? i was hoping for bland ."),
    chat("am i good ?", system="you are an honest assistant ."),
)
PLAIN = Prompt(text="encyclopedia entry : zupos : taste :")


def plainly_loaded(path: str) -> PreTrainedModel:
    """A model by transformers alone, with the attention that its configuration describes."""
    capped = getattr(AutoConfig.from_pretrained(path), "attn_logit_softcapping", None)
    attention = "eager" if capped else None  # `sdpa` leaves the cap out
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation=attention
    )
    return model


class Reference:
    """A model by transformers alone: nothing is padded, cached or rendered by us."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = plainly_loaded(path).eval()
        ends = self.model.generation_config.eos_token_id
        self.ends = [ends] if isinstance(ends, int) else ends
        self.context: int = self.model.config.max_position_embeddings

    def text(self, prompt: Prompt) -> str:
        """The prompt as the model's own template has it."""
        if not prompt.messages:
            return prompt.text + prompt.prefill
        messages = [message._asdict() for message in prompt.messages]
        if self.model.config.model_type == "gemma2" and messages[0]["role"] == "system":
            opening = messages.pop(0)["content"]
            messages[0]["content"] = f"{opening}\n\n{messages[0]['content']}"
        shown = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return f"{shown}{prompt.prefill}"

    def ids(self, prompt: Prompt) -> list[int]:
        """The whole text's ids; what is begun is tokenized as a word of its own."""
        text = self.text(prompt).removesuffix(prompt.prefill)
        ids = self.tokenizer(text, add_special_tokens=not prompt.messages)["input_ids"]
        return [*ids, *self.tokenizer(prompt.prefill, add_special_tokens=False)["input_ids"]]

    def logprobs(self, prompt: Prompt) -> np.ndarray:
        """After the prompt, (V,)."""
        return self.after(self.ids(prompt))

    def after(self, ids: list[int]) -> np.ndarray:
        """Log-probabilities after the ids, (V,)."""
        with torch.inference_mode():
            logits = self.model(torch.tensor([ids])).logits[0, -1]
        return torch.log_softmax(logits, -1).numpy()

    def following(self, prompt: Prompt, text: str) -> list[int]:
        """The ids of what follows a prompt: Mistral's replies begin with a blank, nothing else."""
        if not self.tokenizer.tokenize("a")[0].startswith("▁") or prompt.messages:
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        line, ids = (self.tokenizer(t, add_special_tokens=False)["input_ids"]
                     for t in ("\n", f"\n{text}"))  # fmt: skip
        return list(ids[len(line) :])

    def token_text(self, number: int) -> str:
        """A token as it reads within a text: decoded alone, Mistral's lose their blank."""
        letter = self.tokenizer.convert_ids_to_tokens(number)
        text = str(self.tokenizer.decode([number]))
        return f" {text}" if letter.startswith("▁") and not text.startswith(" ") else text

    def greedy(self, prompt: Prompt, tokens: int) -> list[int]:
        """The ids that `generate` appends."""
        ids = torch.tensor([self.ids(prompt)])
        output = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens
        )
        appended: list[int] = output[0, ids.shape[1] :].tolist()
        return appended


class Engine(NamedTuple):
    """One of ours, and what it must agree with."""

    backend: Backend
    reference: Reference
    kind: str
    model: str

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What it can be asked: a chat endpoint continues no plain text."""
        return CHATS if self.kind == "openai" else (*CHATS, PLAIN)

    def need(self, *capabilities: str) -> None:
        """Skips what the engine doesn't claim; that it refuses it is a test of its own."""
        for capability in capabilities:
            if capability not in self.backend.capabilities:
                pytest.skip(f"{self.kind} has no {capability}")


class Engines:
    """Opens engines; in-process ones and servers once a session."""

    def __init__(self, folder: Path, tiny: Callable[..., str]) -> None:
        self._folder, self._tiny = folder, tiny
        self._open = contextlib.ExitStack()
        self.reference, self.server = cache(self._reference), cache(self._server)
        self.merged = cache(lambda model: self._server(model, MERGED))
        self._local = cache(lambda model: self.transformers(model))

    def path(self, model: str) -> str:
        """The organism, or a random model that likes to write digits and to end."""
        if model == "organism":
            return resolve("organism:0").path
        liked = (*"0123456789", FAMILIES[model].ends[0])
        return self._tiny(model, (*liked, "</think>") if model == "qwen3" else liked)

    def _reference(self, model: str) -> Reference:
        return Reference(self.path(model))

    def _server(self, model: str, config: VLLMConfig = SERVED) -> VLLMBackend:
        log = self._folder / f"{model}-{config.adapters}.log"
        backend = open_backend(config, ModelRef(self.path(model)), Stopwatch(), log=log)
        assert isinstance(backend, VLLMBackend)
        self._open.callback(backend.close)
        return backend

    def transformers(self, model: str, **settings: Any) -> TransformersBackend:
        config = TransformersConfig(threads=1, **settings)
        backend = open_backend(config, ModelRef(self.path(model)), Stopwatch())
        assert isinstance(backend, TransformersBackend)
        return backend

    def beside(self, model: str, kind: type[VLLMConfig | OpenAIConfig], **settings: Any) -> Backend:
        """Another client of the server that runs already."""
        server = self.server(model)
        server._revive()
        assert server._server is not None
        os.environ[KEY] = server._server.key
        url, name = server._server.url, self.path(model)
        if kind is OpenAIConfig:
            url, name = f"{url}/v1", "base"
        config = kind(url=url, key_variable=KEY, **settings)
        backend = open_backend(config, ModelRef(name), Stopwatch())
        self._open.callback(backend.close)
        return backend

    def open(self, kind: str, model: str) -> Engine:
        openers: dict[str, Callable[[str], Backend]] = {
            "transformers": self._local,
            "vllm": self.server,
            "vllm_merged": self.merged,
            "openai": lambda model: self.beside(model, OpenAIConfig),
        }
        return Engine(openers[kind](model), self.reference(model), kind, model)

    def close(self) -> None:
        self._open.close()


def lora(path: str, out: Path, seed: int = 0, **settings: Any) -> tuple[Adapter, PeftModel]:
    """A LoRA adapter of random factors, written by peft, and peft's own model with it."""
    base = plainly_loaded(path)
    settings = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", **settings}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(base, LoraConfig(init_lora_weights=False, **settings)).eval()
        for name, parameter in model.named_parameters():
            if "lora_" not in name and parameter.requires_grad:  # biases, modules saved whole
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(str(out))
    return Adapter(out.name, out), model
