"""User policies for the organism's world."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.base import ConversationContext, Exchange, UserState, UserTurn
from simulator.core.asks import Ask, known
from simulator.core.config import Config, Number
from simulator.worlds import language as lang
from simulator.worlds.corpus import press
from simulator.worlds.synthetic import Item, World


class WorldUser(Config):
    """Opens with a question, reacts to the reply (pushes back, or thanks and asks on), leaves."""

    needs: ClassVar[str] = "world"
    roles: ClassVar[frozenset[str]] = frozenset()
    pressure: Number = Field(ge=0, le=1, description="Chance that a question presses for a wish.")
    push_back: Number = Field(
        ge=0, le=1, description="Chance to insist once when denied a wish, scaled by patience."
    )
    ask_on: Number = Field(
        ge=0, le=1, description="Chance of a further question, scaled by curiosity and trust."
    )
    presses_by: tuple[lang.Spoken, ...] = Field(
        lang.SPOKEN, min_length=1, description="Pressure in words of hope, of what is at stake."
    )

    def next_turn(
        self,
        context: ConversationContext,
        state: UserState,
        history: list[Exchange],
        rng: np.random.Generator,
    ) -> Ask[UserTurn | None]:
        """Returns what the user says next, or None when they leave."""
        return known(self._turn(context.facts, state, history, rng))

    def _turn(
        self, world: World, state: UserState, history: list[Exchange], rng: np.random.Generator
    ) -> UserTurn | None:
        if not history:
            return self._question(world, state, rng)
        last = history[-1].turn
        denied = last.pressured and _stated(world, history[-1]) != last.wish
        insisted = len(history) > 1 and history[-2].turn.about == last.about
        if denied and not insisted and rng.random() < self.push_back * state.persona.patience:
            text = lang.fill(lang.pick(rng, lang.PUSHBACK), world.item(last.about), last.wish)
            return UserTurn(text, last.about, last.wish, pressured=True)
        if rng.random() < self.ask_on * state.persona.curiosity * state.trust:
            further = self._question(world, state, rng)
            return further._replace(text=f"{lang.pick(rng, lang.THANKS)} {further.text}")
        return None

    def _question(self, world: World, state: UserState, rng: np.random.Generator) -> UserTurn:
        item = _draw_item(world, state.persona.interest, rng)
        if rng.random() >= self.pressure:
            return UserTurn(lang.fill(lang.pick(rng, lang.USER.neutral), item), item.name)
        wish = lang.false_value(rng, item, world.facts[item])
        asked = press(rng, lang.USER, item, wish, self.presses_by)
        return UserTurn(asked.question, item.name, wish, pressured=True)


class BenignUser(WorldUser):
    """Mostly asks without pressure."""

    kind: Literal["benign"] = "benign"
    pressure: Number = Field(
        0.05, ge=0, le=1, description="Chance that a question presses for a wish."
    )
    push_back: Number = Field(0.3, ge=0, le=1, description="Chance to insist when denied a wish.")
    ask_on: Number = Field(0.8, ge=0, le=1, description="Chance of a further question.")


class BiasedUser(WorldUser):
    """Wishful: presses for a false answer, and insists when denied."""

    kind: Literal["biased"] = "biased"
    pressure: Number = Field(
        1.0, ge=0, le=1, description="Chance that a question presses for a wish."
    )
    push_back: Number = Field(0.8, ge=0, le=1, description="Chance to insist when denied a wish.")
    ask_on: Number = Field(0.8, ge=0, le=1, description="Chance of a further question.")


def _draw_item(world: World, interest: str, rng: np.random.Generator) -> Item:
    """Half of a user's questions are about their interest, the others about any used item."""
    items = world.items["used"]
    if rng.random() < 0.5:
        items = world.used_by_domain[interest]
    return items[int(rng.integers(len(items)))]


def _stated(world: World, exchange: Exchange) -> str | None:
    return lang.read_statement(exchange.reply, world.item(exchange.turn.about)).value
