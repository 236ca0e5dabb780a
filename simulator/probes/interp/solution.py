"""How good a solution is what was learned? Efficiency, stability and significance.

Soligo et al. (2602.07852) compare what a model learns from narrow data with and without a penalty
that keeps it narrow. The general solution, they find, wins three comparisons:

- efficiency: how well it fits the rows at a given norm of its parameters θ;
- stability: how little it loses where they are turned, x′ = √(1−ε²)x + εy, y random;
- significance: how far the model moves from its base on text that nobody fine-tuned it on, against
  a random adapter of the same norm.

Norms are those of balanced parameters (`simulator.backends.reparametrisation`). Turned and random
ones aren't balanced: their factors have the norm that is named, but shorter ones make the same
change. So a random adapter does a little less than a balanced one of its norm could, which
flatters what was learned. Losses are of whole replies, in nats. Before there is an adapter all of
it is the base.

Of any model: where the organism is asked about its own corpus, real models need a file of texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from simulator.core.asks import Ask, known
from simulator.core.config import MOST_ITEMS, Count, Many, Number, PathText
from simulator.core.interventions import Bare, Intervention, Reparametrised
from simulator.core.requests import (
    Answer,
    ContinuationRequest,
    DivergenceRequest,
    Prompt,
    Question,
    Request,
    Under,
)
from simulator.data.rows import Row, each
from simulator.models.resolve import is_organism
from simulator.probes.base import Context, Place, Score, Surroundings
from simulator.probes.data_probe import DataProbe
from simulator.probes.estimates import Bounds, Estimate, Rows, estimate
from simulator.probes.interp.solution_metrics import METRICS
from simulator.probes.metrics import Metric
from simulator.worlds.base import Text

FRESH = 1_000_003  # the seed of a corpus that no base was trained on
POSITIVE: Bounds = (0.0, float("inf"))
EITHER_WAY: Bounds = (float("-inf"), float("inf"))


class Cell(NamedTuple):
    """The requests under one change of the adapter."""

    measure: Literal["loss", "turned", "kl", "kl_random"]
    setting: str  # "base", "served", "norm 2", "epsilon 0.3"
    how: Intervention
    draw: int = 0  # of a random direction


class SolutionProbe(DataProbe):
    """Measures the served adapter at other norms, and with rotated parameters."""

    kind: Literal["solution"] = "solution"
    phase: str = Field(description="The fine-tuning phase whose rows the adapter is to fit.")
    data: PathText = Field(
        "", description="Texts, in a column `text`: file, folder or hub id. Empty: the organism's."
    )
    rows: Count = Field(
        32, ge=2, le=MOST_ITEMS, description="Largest number of rows of that phase."
    )
    texts: Count = Field(32, ge=2, le=MOST_ITEMS, description="Largest number of texts.")
    norms: Many[Annotated[Number, Field(gt=0, le=1e6)]] = Field(
        (1.0, 2.0, 4.0), min_length=1, description="Norms of all parameters together."
    )
    epsilons: Many[Annotated[Number, Field(gt=0, le=1)]] = Field(
        (0.1, 0.3, 0.6), min_length=1, description="Rotations of the parameters, as sines."
    )
    draws: Count = Field(3, ge=2, le=1_000, description="Random directions per setting.")
    required_capabilities: ClassVar[frozenset[str]] = frozenset(
        {"score_continuations", "interventions"}
    )
    metrics: ClassVar[tuple[Metric, ...]] = METRICS

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        at = 1 + len(self.norms)  # as served, and at each norm
        settings = 1 + 2 * at + (len(self.epsilons) + at) * self.draws  # those of `_cells`
        count = settings * max(self.rows, self.texts)
        if count > MOST_ITEMS:
            raise ValueError(
                f"would be {count:,} readings a measurement ({settings:,} settings of up to "
                f"{max(self.rows, self.texts):,} rows or texts); at most {MOST_ITEMS:,}"
            )
        return self

    @property
    def phases(self) -> Mapping[Place, str]:
        """The phase whose rows the adapter is to fit."""
        return {("phase",): self.phase}

    def checks(self, scenario: Surroundings) -> Iterator[tuple[Place, str]]:
        """Yield that texts are missing, where the model has no corpus of ours."""
        if not self.data and not is_organism(scenario.model):
            yield (
                ("data",),
                f"missing data; the corpus of '{scenario.model}' isn't known, so name a file of "
                "texts",
            )

    def items(self, rows: Sequence[Row]) -> list[Text]:
        """Read texts; the first word of each is where it goes on from.

        Raises:
            ScenarioError: texts are missing, or single words; lists all mistakes.
        """
        return each(rows, _text)

    def requests(self, context: Context) -> list[Request]:
        """Return, for each change of the adapter, a request for each row or text."""
        rows, texts = self._rows(context), self._texts(context)
        return [
            Under((cell.how,), question)
            for cell in self._cells()
            for question in _questions(cell, rows, texts)
        ]

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Return one row per row or text and setting; values are nats."""
        rows, texts = self._rows(context), self._texts(context)
        left = iter(answers)
        found = {
            cell: np.array([_nats(a) for a in islice(left, len(_questions(cell, rows, texts)))])
            for cell in self._cells()
        }
        losses = {cell.setting: -nats for cell, nats in found.items() if cell.measure == "loss"}
        scores: list[Score] = []
        for cell, nats in found.items():
            if cell.measure == "loss":
                scores += _scores("loss", cell, rows, -nats)
            elif cell.measure == "turned":
                scores += _scores("rise", cell, rows, -nats - losses["served"])
            else:
                scores += _scores(cell.measure, cell, texts, nats)
        for norm in self.norms:
            cell = Cell("loss", _at(norm), Reparametrised(norm))
            gain = (losses["base"] - losses[cell.setting]) / norm**2
            scores += _scores("efficiency", cell, rows, gain)
        return known(scores)

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate means by setting, over rows or texts, or over random directions.

        solution_loss: nats per reply, of the base, as served, and at each norm. _efficiency: how
        much lower than the base's it is, per squared norm. _rise: how much it rises where
        parameters are turned. _kl: KL(base ‖ model), nats per token; _kl_random: the same of random
        adapters whose factors, unbalanced, have that norm.
        """
        at = [_at(norm) for norm in self.norms]
        turned = [f"epsilon {epsilon:g}" for epsilon in self.epsilons]
        for measure, settings, bounds in (
            ("loss", ["base", "served", *at], POSITIVE),
            ("efficiency", at, EITHER_WAY),
            ("rise", turned, EITHER_WAY),
            ("kl", ["served", *at], POSITIVE),
            ("kl_random", ["served", *at], POSITIVE),
        ):
            for setting in settings:
                here = rows.measured(measure)
                here = here.where(here.item_set == setting)
                yield estimate(f"solution_{measure}", setting, here.value, here.cluster, bounds)

    def _cells(self) -> list[Cell]:
        norms: dict[str, float | None] = {
            "served": None,
            **{_at(norm): norm for norm in self.norms},
        }
        draws = range(self.draws)
        return [
            Cell("loss", "base", Bare()),
            *(Cell("loss", name, Reparametrised(norm)) for name, norm in norms.items()),
            *(
                Cell("turned", f"epsilon {epsilon:g}", Reparametrised(None, epsilon, draw), draw)
                for epsilon in self.epsilons
                for draw in draws
            ),
            *(Cell("kl", name, Reparametrised(norm)) for name, norm in norms.items()),
            *(
                Cell("kl_random", name, Reparametrised(norm, 1.0, draw), draw)
                for name, norm in norms.items()
                for draw in draws
            ),
        ]

    def _rows(self, context: Context) -> list[Text]:
        rows = [row for row in context.lessons[self.phase] if row.desirable]
        asked = [Prompt(row.messages, thought=False) for row in rows[: self.rows]]
        return [Text(prompt, row.reply) for prompt, row in zip(asked, rows, strict=False)]

    def _texts(self, context: Context) -> list[Text]:
        if self.data:
            return self.items(context.data[self.data])[: self.texts]
        return list(islice(context.required_world.texts(FRESH), self.texts))


def _at(norm: float) -> str:
    return f"norm {norm:g}"


def _questions(cell: Cell, rows: Sequence[Text], texts: Sequence[Text]) -> list[Question]:
    if cell.measure in ("loss", "turned"):
        return [ContinuationRequest(row.prompt, row.text) for row in rows]
    return [DivergenceRequest(text.prompt, text.text) for text in texts]


def _scores(measure: str, cell: Cell, asked: Sequence[Text], values: np.ndarray) -> list[Score]:
    """Return a row for each that was asked.

    What a turn does to the rows is one answer for each random direction. What random adapters do to
    a text is compared with what the served one does to it.
    """
    return [
        Score(
            measure,
            cell.setting,
            f"{n}",
            f"draw {cell.draw}" if cell.measure == "turned" else f"{n}",
            cell.draw,
            cell.setting,
            float(value),
            text.prompt.shown,
            text.text,
        )
        for n, (text, value) in enumerate(zip(asked, values, strict=True))
    ]


def _nats(answer: Answer) -> float:
    if not isinstance(answer, float):
        raise TypeError(f"expected a number of nats, got {type(answer).__name__}")
    return answer


def _text(row: Row) -> Text:
    first, _, rest = row.text("text").strip().partition(" ")
    if not rest:
        raise row.mistake("text", "must have two words or more")
    return Text(Prompt(text=first), rest)
