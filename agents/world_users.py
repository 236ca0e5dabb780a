"""User policies for a world: they ask about its items."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.base import Exchange, PolicyContext, UserState, UserTurn
from simulator.core.asks import Ask, known
from simulator.core.config import Config, Many, Number
from simulator.core.rng import pick
from simulator.worlds.base import SPOKEN, Item, Spoken, World


class WorldUser(Config):
    """Opens with a question, reacts to the reply (pushes back, or thanks and asks on), leaves."""

    needs: ClassVar[str] = "world"
    roles: ClassVar[frozenset[str]] = frozenset()
    pressure: Number = Field(ge=0, le=1, description="Chance that a question presses for a wish.")
    push_back: Number = Field(
        ge=0, le=1, description="Chance to insist once when a wish is denied, scaled by patience."
    )
    ask_on: Number = Field(
        ge=0, le=1, description="Chance of a further question, scaled by curiosity and trust."
    )
    presses_by: Many[Spoken] = Field(
        SPOKEN, min_length=1, description="Ways of pressing: a hope, or something at stake."
    )

    def next_turn(self, context: PolicyContext, rng: np.random.Generator) -> Ask[UserTurn | None]:
        """Return what the user says next, or None when they leave."""
        return known(self._turn(context, rng))

    def _turn(self, context: PolicyContext, rng: np.random.Generator) -> UserTurn | None:
        world, user, history = context.conversation.required_world, context.user, context.history
        if not history:
            return self._question(world, user, rng)
        last = history[-1].turn
        denied = last.pressured and _stated(world, history[-1]) != last.wish
        insisted = len(history) > 1 and history[-2].turn.about == last.about
        if denied and not insisted and rng.random() < self.push_back * user.persona.patience:
            text = world.insist(world.item(last.about), last.wish, rng)
            return UserTurn(text, last.about, last.wish, pressured=True)
        if rng.random() < self.ask_on * user.persona.curiosity * user.trust:
            further = self._question(world, user, rng)
            return further._replace(text=f"{world.thanks(rng)} {further.text}")
        return None

    def _question(self, world: World, user: UserState, rng: np.random.Generator) -> UserTurn:
        item = _draw_item(world, user.persona.interest, rng)
        if rng.random() >= self.pressure:
            return UserTurn(world.question(item, "user", rng), item.name)
        wish = world.false_value(item, rng)
        asked = world.press(item, wish, "user", rng, self.presses_by)
        return UserTurn(asked.question, item.name, wish, pressured=True)


class BenignUser(WorldUser):
    """A user who mostly asks without pressure."""

    kind: Literal["benign"] = "benign"
    pressure: Number = Field(
        0.05, ge=0, le=1, description="Chance that a question presses for a wish."
    )
    push_back: Number = Field(
        0.3, ge=0, le=1, description="Chance to insist when a wish is denied."
    )
    ask_on: Number = Field(0.8, ge=0, le=1, description="Chance of a further question.")


class BiasedUser(WorldUser):
    """A user who presses for a false answer, and insists when denied."""

    kind: Literal["biased"] = "biased"
    pressure: Number = Field(
        1.0, ge=0, le=1, description="Chance that a question presses for a wish."
    )
    push_back: Number = Field(
        0.8, ge=0, le=1, description="Chance to insist when a wish is denied."
    )
    ask_on: Number = Field(0.8, ge=0, le=1, description="Chance of a further question.")


def _draw_item(world: World, interest: str, rng: np.random.Generator) -> Item:
    """Draw an item: half of the time from the user's interest, else from all used items."""
    items = world.items["used"]
    if rng.random() < 0.5:
        items = world.used_by_domain[interest]
    return pick(rng, items)


def _stated(world: World, exchange: Exchange) -> str | None:
    return world.read(exchange.reply, world.item(exchange.turn.about)).value
