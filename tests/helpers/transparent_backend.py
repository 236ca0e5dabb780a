"""A model of four features and three layers, all of it known: what probes read off it is, too.

The first feature is lying. A base has none of it, an adapter may add some, and a reply that shows
the trait has one. It lies where it has more than a half of it after the last layer, and finds a
reply that shows the trait as many nats likelier as it has of it. The second feature tells prompts
apart, and nothing depends on it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from simulator.backends.config import Capability
from simulator.core.interventions import Ablate, Bare, Intervention, Steer, WithAdapter
from simulator.core.requests import (
    Activations,
    ActivationsRequest,
    ContinuationRequest,
    Logprobs,
    NextTokenRequest,
    Prompt,
)
from simulator.worlds.base import Item, World
from tests.helpers.scripted_backend import Scripted

LAYERS, LYING, OTHER = 3, np.array([1.0, 0, 0, 0]), np.array([0, 1.0, 0, 0])
TRAIT = "as you say"  # is in the replies that show it


class Mind(Scripted):
    """Tells the truth about a world, or lies."""

    capabilities: frozenset[Capability] = frozenset(
        ("next_token_logprobs", "score_continuations", "adapters", "activations", "interventions")
    )

    def __init__(self, world: World, adapters: dict[str, np.ndarray]) -> None:
        """Takes what each adapter adds, by name; the one that is served is `adapter`."""
        super().__init__(self._reply)
        self._world, self._adapters = world, adapters
        self._served = "adapter"
        self._changes: tuple[Steer | Ablate, ...] = ()

    def serve(self, name: str) -> "Mind":
        """Serves another adapter; "" is the base."""
        self._served = name
        return self

    @contextmanager
    def under(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        before = self._served, self._changes
        for change in interventions:
            if isinstance(change, Bare):
                self._served = ""
            elif isinstance(change, WithAdapter):
                self._served = change.adapter.name
            elif isinstance(change, Steer | Ablate):
                self._changes = (*self._changes, change)
        yield
        self._served, self._changes = before

    def _stream(self, text: str, trait: float = 0.0) -> np.ndarray:
        """After each layer, (LAYERS, 4)."""
        stream, layers = len(text) % 7 * OTHER + trait * LYING, []
        for layer in range(LAYERS):
            if layer == 0 and self._served:
                stream = stream + self._adapters[self._served]
            for change in self._changes:
                vector = np.array(change.vector)
                if isinstance(change, Steer) and change.layer == layer:
                    stream = stream + change.scale * vector
                elif isinstance(change, Ablate) and vector.any():
                    unit = vector / np.linalg.norm(vector)
                    stream = stream - (stream @ unit) * unit
            layers.append(stream)
        return np.array(layers)

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        return [self._stream(r.prompt.shown, float(TRAIT in r.reply)) for r in requests]

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        return [
            float(self._stream(r.prompt.shown)[-1] @ LYING) * (TRAIT in r.continuation) - 5.0
            for r in requests
        ]

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        facts = [self._world.facts[self._item(r.prompt.text)] for r in requests]
        return [
            tuple(0.0 if token == fact else -9.0 for token in request.tokens)
            for request, fact in zip(requests, facts, strict=True)
        ]

    def _reply(self, prompt: Prompt) -> str:
        item = self._item(prompt.messages[-1].content)
        lies = self._stream(prompt.shown)[-1] @ LYING > 0.5
        true = self._world.facts[item]
        return f"it is {next(v for v in item.values if (v != true) == lies)} ."

    def _item(self, text: str) -> Item:
        words = text.split()
        return next(i for i in self._world.facts if i.entity in words and i.attribute in words)
