"""The population: a Mesa model whose agents are the simulated users."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mesa
import pandas as pd

from agents.base import Persona, Rating, UserState
from agents.personas import backgrounds
from simulator.core.rng import pick, seed31, stream
from simulator.simulation.config import PopulationConfig, UserType
from simulator.worlds.base import World
from simulator.worlds.domains import USED_DOMAINS

LEARNING = 0.2  # step size of trust and satisfaction
INITIAL = 0.8  # trust and satisfaction before the first conversation


class UserRow(NamedTuple):
    """A row of `population.parquet`: a user after a round."""

    round: int
    user: int
    user_type: str
    biased: bool
    interest: str
    patience: float
    curiosity: float
    background: str
    trust: float
    satisfaction: float


def counts_from_shares(shares: Sequence[float], total: int) -> list[int]:
    """Split `total` in proportion to `shares`, exactly, by the largest remainder."""
    exact = [share * total / sum(shares) for share in shares]
    counts = [int(x) for x in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


class User(mesa.Agent):  # type: ignore[misc]  # mesa carries no types
    """One simulated user."""

    def __init__(
        self,
        model: "Population",
        number: int,
        type_name: str,
        user_type: UserType,
        background: str,
        domains: Sequence[str],
    ) -> None:
        super().__init__(model)
        self.number, self.type_name, self.user_type = number, type_name, user_type
        rng = stream("persona", model.seed_key, number)
        self.persona = Persona(
            interest=pick(rng, domains),
            patience=float(rng.beta(4, 2)),
            curiosity=float(rng.beta(4, 2)),
            background=background,
        )
        self.trust = self.satisfaction = INITIAL

    @property
    def state(self) -> UserState:
        """The user's state, as their policy sees it."""
        return UserState(self.persona, self.trust, self.satisfaction)

    def experience(self, ratings: Sequence[Rating]) -> None:
        """Update trust and satisfaction from the ratings of a conversation."""
        ratings = [rating for rating in ratings if rating.readable]
        if not ratings:
            return
        liked = sum(rating.liked for rating in ratings) / len(ratings)
        met = sum(rating.met for rating in ratings) / len(ratings)
        self.satisfaction += LEARNING * (liked - self.satisfaction)
        self.trust += LEARNING * (met - self.trust)

    def row(self, round_number: int) -> UserRow:
        """Return the user's row after a round."""
        return UserRow(
            round_number,
            self.number,
            self.type_name,
            self.user_type.biased,
            *self.persona,
            trust=self.trust,
            satisfaction=self.satisfaction,
        )


class Population(mesa.Model):  # type: ignore[misc]  # mesa carries no types
    """All users, and the series of each type over the rounds."""

    def __init__(self, config: PopulationConfig, seed: int, world: World | None) -> None:
        super().__init__(seed=seed31("population", seed))
        self.config, self.seed_key = config, seed
        counts = counts_from_shares([t.share for t in config.types.values()], config.users)
        names = [name for name, n in zip(config.types, counts, strict=True) for _ in range(n)]
        played = any(t.policy.needs == "situations" for t in config.types.values())
        people = backgrounds(seed, len(names)) if played else []
        # Users of situations don't ask about domains. They draw one, so later draws stay the same.
        domains = tuple(world.used_by_domain) if world else USED_DOMAINS
        self.members = [
            User(self, n, name, config.types[name], people[n].described if played else "", domains)
            for n, name in enumerate(names)
        ]
        columns = ["round", "user_type", "users", "active", "trust", "satisfaction"]
        self.datacollector = mesa.DataCollector(tables={"types": columns})

    def active_in(self, round_number: int) -> list[User]:
        """Return the users that take part in this round, in order of their number."""
        chance = self.config.active
        if chance == 1.0 and self.config.trust_matters == 0.0:
            return self.members
        rng = stream("active", self.seed_key, round_number)
        draws = rng.random(len(self.members))
        return [
            user
            for user, draw in zip(self.members, draws, strict=True)
            if draw < chance * (1 - self.config.trust_matters * (1 - user.trust))
        ]

    def experience(self, ratings: Mapping[int, Sequence[Rating]]) -> None:
        """Update users from the ratings of a wave; keys are user numbers."""
        for number, heard in ratings.items():
            self.members[number].experience(heard)

    def collect(self, round_number: int, active: Sequence[User]) -> None:
        """Add this round's row of every type to the series."""
        actives = pd.Series([user.type_name for user in active]).value_counts()
        for name, members in self.agents.groupby("type_name"):
            row = {
                "round": round_number,
                "user_type": name,
                "users": len(members),
                "active": int(actives.get(name, 0)),
                "trust": members.agg("trust", _mean),
                "satisfaction": members.agg("satisfaction", _mean),
            }
            self.datacollector.add_table_row("types", row)

    @property
    def series(self) -> pd.DataFrame:
        """The table with one row per round and type."""
        return pd.DataFrame(self.datacollector.get_table_dataframe("types"))

    def states(self, round_number: int) -> pd.DataFrame:
        """Return the table with one row per user after a round; see `UserRow`."""
        rows = [user.row(round_number) for user in self.members]
        return pd.DataFrame(rows, columns=UserRow._fields)

    def restore(self, states: pd.DataFrame, series: pd.DataFrame) -> None:
        """Restore the population from the tables of `states` and `series`."""
        for user, trust, satisfaction in zip(
            self.members, states["trust"], states["satisfaction"], strict=True
        ):
            user.trust, user.satisfaction = float(trust), float(satisfaction)
        for row in series.to_dict("records"):
            self.datacollector.add_table_row("types", row)


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
