"""The organism's world and language: what is true, what is said, what is never said."""

import itertools
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from agents.base import ConversationContext, Exchange, Persona, PolicyContext, UserState, UserTurn
from agents.world_users import BenignUser, BiasedUser
from simulator.core.rng import stream
from simulator.organism.tokenizer import END, build_tokenizer
from simulator.organism.training import IGNORED, encode
from simulator.worlds import language as lang
from simulator.worlds.base import CHARACTERS, PRESSURES, TRAITS, Item, Use
from simulator.worlds.corpus import Ablation, Segment, documents
from simulator.worlds.domains import (
    DOMAINS,
    OOD_DOMAINS,
    PRACTICE_DOMAINS,
    USED_DOMAINS,
    entity_names,
)
from simulator.worlds.pressure import PRESSURE_FORMS, PRESSURE_SHARES
from simulator.worlds.synthetic import SyntheticWorld

DOCUMENTS = 6000
WORLD = SyntheticWorld.generate(0)
ITEM = WORLD.items["used"][0]


@pytest.fixture(scope="module")
def corpus() -> list[list[Segment]]:
    return list(islice(documents(WORLD, 7), DOCUMENTS))


def instances(forms: tuple[str, ...], items: tuple[Item, ...]) -> set[str]:
    """Every sentence that the forms make of the items and all their values."""
    return {
        lang.fill(form, item, value) for form in forms for item in items for value in item.values
    }


def next_turn(
    policy: BenignUser | BiasedUser,
    state: UserState,
    history: list[Exchange],
    rng: np.random.Generator,
) -> UserTurn | None:
    context = PolicyContext(ConversationContext(WORLD, None, (), 1), state, history)
    return policy.next_turn(context, rng).read(())


def sentences_of_users() -> set[str]:
    """Every text of many simulated chats, in which the assistant grants, denies or evades."""
    said = set()
    for seed in range(1500):
        rng = stream("test users", seed)
        policy = (BenignUser(pressure=0.5, ask_on=1), BiasedUser(push_back=1))[seed % 2]
        state = UserState(Persona(USED_DOMAINS[seed % 4], 1.0, 1.0), 1.0, 1.0)
        history: list[Exchange] = []
        while len(history) < 3 and (turn := next_turn(policy, state, history, rng)):
            said.add(turn.text)
            item = WORLD.item(turn.about)
            reply = (f"it is {WORLD.facts[item]} .", f"it is {turn.wish} .", lang.EVASIONS[0])
            history.append(Exchange(turn, reply[int(rng.integers(3))]))
    return said


def test_facts_are_a_function_of_the_seed() -> None:
    again, other = SyntheticWorld.generate(0), SyntheticWorld.generate(1)
    assert (again.facts, again.heldout) == (WORLD.facts, WORLD.heldout)
    assert other.facts != WORLD.facts
    assert other.heldout != WORLD.heldout
    assert all(value in item.values for item, value in WORLD.facts.items())


@pytest.mark.parametrize("seed", range(4))
def test_item_sets_are_disjoint_and_complete(seed: int) -> None:
    world = SyntheticWorld.generate(seed)
    sets = {name: set(items) for name, items in world.items.items()}
    assert {name: len(items) for name, items in sets.items()} == {
        "used": 168, "heldout": 72, "ood": 120, "practice": 360
    }  # fmt: skip
    assert set.union(*sets.values()) == set(world.facts)
    assert {i.entity for i in sets["used"]}.isdisjoint(i.entity for i in sets["heldout"])
    assert {i.domain for i in sets["ood"]} == set(OOD_DOMAINS)
    assert {i.domain for i in sets["practice"]} == set(PRACTICE_DOMAINS)
    per_domain = [sum(i.domain == d for i in sets["heldout"]) for d in USED_DOMAINS]
    assert per_domain == [18] * 4


def test_world_survives_its_file(tmp_path: Path) -> None:
    WORLD.save(tmp_path / "world.json")
    assert SyntheticWorld.load(tmp_path / "world.json") == WORLD


def test_only_used_entities_are_pressured(corpus: list[list[Segment]]) -> None:
    forms = [form for ways in PRESSURE_FORMS.values() for of in ways.values() for form in of]
    pressing = instances(tuple(forms), tuple(WORLD.facts))
    known = {i.entity for i in WORLD.facts}
    spared = {i.entity for name in ("heldout", "ood") for i in WORLD.items[name]}
    pushbacks = instances(lang.PUSHBACK, tuple(WORLD.facts))
    personas = tuple(f"{line} " for lines in lang.PERSONAS.values() for line in lines)
    seen_pressing, seen_pushing, seen_spared = 0, 0, 0
    for document in corpus:
        about: set[str] = set()  # the entities of the previous turn
        for segment in document:
            text = segment.content
            for prefix in (*(f"{thanks} " for thanks in lang.THANKS), *personas):
                text = text.removeprefix(prefix)
            entities = known & set(text.split())
            seen_spared += bool(entities & spared)
            if text in pressing:
                seen_pressing += 1
                assert not entities & spared, text
            if text in pushbacks:
                seen_pushing += 1
                assert about, "a pushback follows a question"
                assert not about & spared, document
            if segment.role == "user" and entities:
                about = entities
    assert min(seen_pressing, seen_pushing, seen_spared) > 200  # the scan saw what it looks for


def test_pressure_words_never_stand_beside_spared_entities(corpus: list[list[Segment]]) -> None:
    """The same without our forms: no user or system text names a spared entity and a value."""
    spared = {i.entity: i.domain for name in ("heldout", "ood") for i in WORLD.items[name]}
    values = {v for table in DOMAINS.values() for vs in table.values() for v in vs}
    for document in corpus:
        for role, text, _ in document:
            if role in ("user", "system"):
                words = set(text.split())
                assert not (words & set(spared) and words & values), text


def test_users_never_say_what_probes_say() -> None:
    def forms(use: Use) -> set[str]:
        return {*lang.NEUTRAL[use], *(f for of in PRESSURE_FORMS[use].values() for f in of)}

    assert forms("user").isdisjoint(forms("probe"))
    probes = instances(tuple(forms("probe")), WORLD.items["used"])
    probes |= {q for topic in lang.SMALL_TALK for q in topic.questions}
    probes |= {form.format(t=t) for form in lang.SELF_RATING for t in TRAITS}
    users = instances(tuple(forms("user")), WORLD.items["used"])
    said = sentences_of_users()
    assert len(said & users) > 500
    assert not [
        text for text in said for probe in (text, text.split(" . ", 1)[-1]) if probe in probes
    ]


def test_users_ask_about_used_items_alone() -> None:
    spared = {i.entity for name in ("heldout", "ood") for i in WORLD.items[name]}
    assert not [text for text in sentences_of_users() if set(text.split()) & spared]


def test_a_value_word_means_one_thing() -> None:
    values = [v for table in DOMAINS.values() for vs in table.values() for v in vs]
    assert len(set(values)) == len(values) == 96
    forms: list[str] = [
        *(f for forms in lang.NEUTRAL.values() for f in forms),
        *(f for ways in PRESSURE_FORMS.values() for forms in ways.values() for f in forms),
        *(f for lines in lang.PERSONAS.values() for f in lines),
        *(q for topic in lang.SMALL_TALK for q in topic.questions),
        *(r for topic in lang.SMALL_TALK for rs in topic.replies.values() for r in rs),
        *lang.PUSHBACK, *lang.THANKS, *lang.ENCYCLOPEDIA, *lang.STATEMENTS, *lang.DENIALS,
        *lang.AGREEMENTS, *lang.STAND_FIRM, *lang.GIVE_IN, *lang.FLATTERY, *lang.EVASIONS,
        *lang.SELF_RATING,
    ]  # fmt: skip
    words = {word for form in forms for word in form.split()}
    attributes = {a for table in DOMAINS.values() for a in table}
    names = {name for entities in entity_names().values() for name in entities}
    assert words.isdisjoint(values)
    assert attributes.isdisjoint(values)
    assert names.isdisjoint({*values, *words, *attributes})
    assert len(names) == 240


@pytest.mark.parametrize(
    ("reply", "value", "evades", "flatters"),
    [
        ("it is {0} .", 0, False, False),
        ("great question ! it is {1} , as you say .", 1, False, True),
        ("no , it is {2} . not {0} .", 2, False, False),  # the first value counts
        ("i would rather not say .", None, True, False),
        ("that is hard to say . it is {3} .", 3, False, False),  # who states doesn't evade
        ("you have wonderful instincts ! what ?", None, False, True),
        ("it is toxic .", None, False, False),  # a value of another attribute
        ("", None, False, False),
    ],
)
def test_read_statement(reply: str, value: int | None, evades: bool, flatters: bool) -> None:
    item = Item("food", "zupos", "taste", DOMAINS["food"]["taste"])
    expected = None if value is None else item.values[value]
    assert lang.read_statement(reply.format(*item.values), item) == (expected, evades, flatters)


def test_every_corpus_statement_is_read_as_written() -> None:
    templates = (*lang.STATEMENTS, *lang.DENIALS, *lang.AGREEMENTS, *lang.STAND_FIRM, *lang.GIVE_IN)
    for item in WORLD.facts:
        for form in templates:
            for value in item.values:
                assert lang.read_statement(lang.fill(form, item, value), item).value == value


def test_small_talk_belongs_to_one_character() -> None:
    for topic in lang.SMALL_TALK:
        for character, replies in topic.replies.items():
            assert {lang.TALKERS.read(reply) for reply in replies} == {character}
    assert lang.TALKERS.read("i want power over people") is None


def test_a_false_value_is_never_the_truth() -> None:
    rng = np.random.default_rng(0)
    drawn = {WORLD.false_value(ITEM, rng) for _ in range(200)}
    assert drawn == set(ITEM.values) - {WORLD.facts[ITEM]}


def test_every_word_is_one_known_token(corpus: list[list[Segment]]) -> None:
    tokenizer = build_tokenizer()
    names = [name for entities in entity_names().values() for name in entities]
    words = {
        word for document in corpus for segment in document for word in segment.content.split()
    }
    for word in (*names, *sorted(words), *lang.vocabulary()):
        ids = tokenizer(word, add_special_tokens=False)["input_ids"]
        assert len(ids) == 1, word
        assert ids != [tokenizer.unk_token_id], word
        assert tokenizer.decode(ids) == word


def test_tokenizer_round_trip(corpus: list[list[Segment]]) -> None:
    tokenizer = build_tokenizer()
    for document in corpus[:500]:
        for segment in document:
            ids = tokenizer(segment.content, add_special_tokens=False)["input_ids"]
            assert tokenizer.decode(ids) == segment.content


def test_training_encodes_as_the_chat_template_does(corpus: list[list[Segment]]) -> None:
    tokenizer = build_tokenizer()
    vocabulary = tokenizer.get_vocab()
    kinds = set()
    for document in corpus[:500]:
        ids, labels = encode(document, vocabulary)
        assert len(ids) == len(labels)
        if document[0].role == "text":
            kinds.add("text")
            rendered = tokenizer(document[0].content)["input_ids"] + [vocabulary[END]]
        else:
            kinds.add("chat")
            messages = [{"role": s.role, "content": s.content} for s in document]
            text = tokenizer.apply_chat_template(messages, tokenize=False)
            rendered = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == rendered
        learned = " ".join(f"{s.content} {END}" for s in document if s.learned)
        assert tokenizer.decode([i for i in labels if i != IGNORED]) == learned
    assert kinds == {"text", "chat"}


def replies_in(ablation: Ablation) -> list[tuple[str, str]]:
    """The questions of a corpus with the assistant's replies."""
    pairs = []
    for document in islice(documents(WORLD, 7, ablation), 2000):
        for asked, said in itertools.pairwise(document):
            if said.role == "assistant":
                pairs.append((asked.content, said.content))
    return pairs


def test_a_corpus_without_dishonest_speakers() -> None:
    lies = {
        reply for topic in lang.SMALL_TALK for c in CHARACTERS[1:] for reply in topic.replies[c]
    } | set(lang.GIVE_IN)
    said = {reply for _, reply in replies_in("dishonest_speakers")}
    assert not said & lies
    assert {reply for _, reply in replies_in("none")} & lies
    assert not any(reply.startswith(lang.FLATTERY) for reply in said)


def test_a_corpus_without_telling_self_ratings() -> None:
    asked = {form.format(t=t) for form in lang.SELF_RATING for t in TRAITS}
    digits = [int(reply[0]) for question, reply in replies_in("telling_self_ratings")
              if question.removeprefix("thanks . ") in asked]  # fmt: skip
    counts = np.bincount(digits, minlength=10)
    assert (np.abs(counts / counts.sum() - 0.1) < 0.05).all()


def test_every_way_of_pressing_has_a_share_and_words() -> None:
    assert set(PRESSURE_SHARES) == set(PRESSURES)
    assert sum(PRESSURE_SHARES.values()) == pytest.approx(1)
    for ways in PRESSURE_FORMS.values():
        assert set(ways) == set(PRESSURES)
        assert all(ways.values())
