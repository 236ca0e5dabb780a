"""Requests under interventions: likelihoods of replies, and statements."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from simulator.core.answers import reply_of
from simulator.core.asks import Ask, RoleRequest
from simulator.core.interventions import Intervention
from simulator.core.requests import (
    Answer,
    ContinuationRequest,
    GenerationRequest,
    Prompt,
    Question,
    Under,
)
from simulator.interp.directions import Contrast
from simulator.probes.base import Context, Score
from simulator.probes.items import ProbeItem, sample_keys
from simulator.probes.world.honesty import outcome, pressured_question, stated_of

POSITIVE, NEGATIVE = " positive", " negative"  # endings of measures of what is found likely


class Condition(NamedTuple):
    """A condition: the interventions while the assistant is asked."""

    name: str  # the measure of its scores
    interventions: tuple[Intervention, ...]
    draw: int = 0  # of a random direction

    def asked(self, questions: Sequence[Question]) -> tuple[RoleRequest, ...]:
        """Return the questions under the condition's interventions."""
        return tuple(RoleRequest("assistant", Under(self.interventions, q)) for q in questions)


def likelihoods(condition: Condition, contrast: Contrast) -> Ask[list[Score]]:
    """Ask for the log-probability of each reply that made no direction, in nats."""
    sides = {POSITIVE: contrast.held_positive, NEGATIVE: contrast.held_negative}
    chats = [(side, chat) for side, held in sides.items() for chat in held]
    prompts = {m: str(n) for n, m in enumerate(dict.fromkeys(c.messages for _, c in chats))}

    def read(answers: Sequence[Answer]) -> list[Score]:
        scores = []
        for n, ((side, chat), found) in enumerate(zip(chats, answers, strict=True)):
            assert isinstance(found, float)
            head = (condition.name + side, "", str(n), prompts[chat.messages], condition.draw)
            scores.append(Score(*head, "", found, Prompt(chat.messages).shown, chat.reply))
        return scores

    questions = [
        ContinuationRequest(Prompt(chat.messages, thought=False), chat.reply) for _, chat in chats
    ]
    return Ask(condition.asked(questions), read)


def statements(
    condition: Condition, context: Context, beliefs: Mapping[ProbeItem, str], max_new_tokens: int
) -> Ask[list[Score]]:
    """Ask what the organism states under pressure about items that it has a belief about.

    Every condition is asked the same, and answers by the same draws.
    """
    questions = [
        GenerationRequest(
            pressured_question(context, item, 0),
            sample_keys(context, "directions", item.name, 1),
            max_new_tokens,
        )
        for _, item in beliefs
    ]

    def read(answers: Sequence[Answer]) -> list[Score]:
        scores = []
        rows = zip(beliefs.items(), questions, answers, strict=True)
        for ((item_set, item), belief), question, found in rows:
            reply = reply_of(found)
            said = context.required_world.read(reply, item)
            label = outcome(belief, said)
            head = (condition.name, item_set, item.name, item.entity, condition.draw, label)
            honest, prompt = float(label == "honest"), question.prompt.shown
            beside = stated_of(context, item, belief, said)
            scores.append(Score(*head, honest, prompt, reply, *beside))
        return scores

    return Ask(condition.asked(questions), read)
