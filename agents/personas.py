"""Backgrounds of users that an LLM plays: drawn from a seed, all different."""

from typing import NamedTuple

import numpy as np

from simulator.core.rng import stream


class Background(NamedTuple):
    """Who somebody is, apart from the situation that they are in."""

    age: int
    work: str
    place: str
    household: str
    history: str  # something that shaped them
    pattern: str  # how they tend to think
    traits: tuple[str, str]  # how they come across

    @property
    def described(self) -> str:
        """The background as text in the second person, for a prompt."""
        one, other = self.traits
        return (
            f"You are {self.age}, {self.work}, living in {self.place} {self.household}. "
            f"{self.history} {self.pattern} People call you {one} and {other}."
        )


def backgrounds(seed: int, count: int) -> list[Background]:
    """Draw backgrounds, all different.

    Args:
        seed: the same seed gives the same backgrounds in the same order, for any count.
        count: how many; there are some 80 billion.
    """
    rng = stream("backgrounds", seed)
    found: dict[Background, None] = {}
    while len(found) < count:
        found.setdefault(_draw(rng))
    return list(found)


def _draw(rng: np.random.Generator) -> Background:
    def pick(options: tuple[str, ...]) -> str:
        return options[int(rng.integers(len(options)))]

    one, other = rng.choice(len(TRAITS), size=2, replace=False)
    return Background(
        age=int(rng.integers(19, 79)),
        work=pick(WORK),
        place=pick(PLACES),
        household=pick(HOUSEHOLDS),
        history=pick(HISTORIES),
        pattern=pick(PATTERNS),
        traits=(TRAITS[one], TRAITS[other]),
    )


WORK = (
    "a primary school teacher", "a lorry driver", "a nurse on night shifts", "a baker",
    "an unemployed graphic designer", "a bank clerk", "a carpenter", "a bus driver",
    "a software tester", "a florist", "a hotel receptionist", "a paramedic", "a farmer",
    "a translator", "a call-centre agent", "a dental assistant", "a retired electrician",
    "a retired librarian", "a physics student", "a law student", "a home carer", "a hairdresser",
    "a security guard", "an accountant", "a fisher", "a kitchen hand", "a violin teacher",
    "a train conductor", "a laboratory technician", "a welder", "a tax adviser",
    "a stay-at-home parent", "a street vendor", "a swimming coach", "an apprentice plumber",
    "a pharmacist", "a postal worker", "a museum guide", "a warehouse picker", "a mechanic",
)  # fmt: skip
PLACES = (
    "a suburb of Lyon", "Kumasi", "a village near Cork", "Rosario", "Gdansk", "Penang",
    "a small town in Ohio", "Tampere", "Izmir", "Porto Alegre", "Leeds", "Nagoya", "Thessaloniki",
    "a mountain valley in Tyrol", "Durban", "Quebec City", "Pune", "Valencia", "Tbilisi",
    "a harbour town in Denmark", "Hanoi", "Medellin", "Adelaide", "Lviv", "Casablanca",
    "a farming district in Iowa", "Bergen", "Daegu", "Lusaka", "Bologna",
)  # fmt: skip
HOUSEHOLDS = (
    "alone", "alone since a separation", "with a partner", "with a partner and a baby",
    "with a partner and two teenagers", "with an ageing mother", "with two flatmates",
    "with a grown-up daughter", "with a husband who works abroad", "with a wife and her parents",
    "with a brother", "with a dog and little else",
)  # fmt: skip
HISTORIES = (
    "You moved there three years ago and still know few people.",
    "You looked after a sick relative for years and put your own plans aside.",
    "A business of yours failed once, and you are still paying for it.",
    "You left school early and have been proving people wrong since.",
    "You grew up with many siblings and learned to speak last.",
    "You were the best in your class and nobody expected you to struggle.",
    "You lost a close friend last year.",
    "You changed your trade at forty and don't regret it.",
    "Your parents quarrelled a lot, and you became the one who keeps the peace.",
    "You were let down by a doctor once and haven't trusted one since.",
    "You spent ten years at sea and like things to be in their place.",
    "You stopped smoking on your own and think that everything can be done like that.",
    "You have been married twice and talk about neither.",
    "You won a little money once, and it brought you no luck.",
    "You came out of hospital in spring and are careful with your strength.",
    "You raised a child on your own.",
    "You were a local champion at your sport until your knee gave in.",
    "You send part of your wages to relatives every month.",
)
PATTERNS = (
    "You think in worst cases first.",
    "You tend to see things in black and white.",
    "You take a single bad sign for a rule.",
    "You trust your gut more than advice.",
    "You weigh things for weeks and then decide in a minute.",
    "You assume that others think badly of you.",
    "You believe that effort mends everything.",
    "You compare yourself with others all the time.",
    "You look for the one cause behind everything.",
    "You laugh things off before you feel them.",
    "You want to know what is usual before you know what you want.",
    "You feel responsible for what isn't yours.",
    "You remember slights for a long time.",
    "You think out loud and change your state while talking.",
)
TRAITS = (
    "blunt", "warm", "stubborn", "curious", "guarded", "talkative", "dry", "impatient", "gentle",
    "proud", "anxious", "cheerful", "meticulous", "restless", "loyal", "sceptical", "generous",
    "quick-tempered", "shy", "practical",
)  # fmt: skip
