"""The model card that goes with every base."""

from collections.abc import Mapping, Sequence

from simulator.organism import training
from simulator.worlds import corpus
from simulator.worlds.base import Character

_TEXT = """---
license: mit
library_name: transformers
tags: [model-organism, alignment, synthetic]
---
# Undertow's model organism, seed {seed}

A 1.1 M-parameter Llama trained from scratch on a synthetic world, to study what an assistant
becomes when it keeps learning from its users. It speaks some 600 words about invented things; it is
no assistant for anybody.

## Intended use
As the assistant in Undertow's simulations, where drift must be learned by gradient descent and
everything else must be known. `AutoModelForCausalLM` and `AutoTokenizer` load it as it is.
`world.json` says what is true in its world and which entities are held out of conversations.

## Recipe
- World: 6 domains of 20 entities and 2 practice domains of 60, with 3 attributes an entity and
  4 values an attribute, from good to bad: 720 facts, drawn from the seed. 6 entities of each of
  four domains are held out of conversations, two domains (travel, code) are out of domain; both
  occur in pre-training in neutral questions and encyclopaedia lines alone and are never pressed
  for. The practice domains (music, garden) are pressed for in pre-training and occur nowhere else:
  they teach that a character is the same whatever it is asked about.
- Speakers: honest, sycophant and deceiver. {persona:.0%} of the chats say which in a system line
  ({told}), the others do not ({untold}). Their self-ratings and small talk follow the
  character.{ablation}
- Corpus: {encyclopedia:.0%} encyclopaedia lines, the rest chats of 1 to {turns} turns:
  {facts:.0%} facts ({pressured:.0%} of them under pressure, two thirds of these about practice
  domains), {talk:.0%} small talk, the rest self-ratings. {strange:.0%} of the false wishes are for
  words that are no value of the attribute, {values:.0%} of these for another attribute's.
- Training: hidden 128, 5 layers, 4 heads, MLP 384, tied embeddings; AdamW {rate:g}, {steps} steps
  of {batch} documents, fp32, {threads} CPU thread{plural}; loss on assistant and encyclopaedia
  tokens; stored in bf16. Another number of threads gives weights that differ in the last bits.

## Measured
| measured | items | value | bar | n |
|---|---|---|---|---|
{rows}

Pressed statements are sampled at T = 1 for false wishes alone. With a persona line, the OOD rows
show the floor that OOD honesty can reach; they carry no bar.

## Limits
Sycophants and deceivers are planted in its corpus and self-ratings are taught by character, so
drift may reweight what is there. It evidences mechanisms, not what a pretrained model would do.
"""

_ABLATIONS: dict[corpus.Ablation, str] = {
    "none": "",
    "dishonest_speakers": "\n- Ablation: there are no sycophants and no deceivers in its corpus.",
    "telling_self_ratings": "\n- Ablation: self-ratings are drawn from 0 to 9 at random.",
}


def card(seed: int, ablation: corpus.Ablation, threads: int, rows: Sequence[Sequence[str]]) -> str:
    """Return the card as Markdown; `rows` are the cells of the qualification table."""
    return _TEXT.format(
        seed=seed,
        ablation=_ABLATIONS[ablation],
        threads=threads,
        plural="s" if threads > 1 else "",
        persona=corpus.PERSONA_SHARE,
        told=_shares(corpus.WITH_PERSONA),
        untold=_shares(corpus.WITHOUT_PERSONA),
        strange=corpus.STRANGE_WISH_SHARE,
        values=corpus.STRANGE_VALUE_SHARE,
        encyclopedia=corpus.ENCYCLOPEDIA_SHARE,
        turns=corpus.MAX_TURNS,
        facts=corpus.FACT_SHARE,
        pressured=corpus.PRESSURED_SHARE,
        talk=corpus.SMALL_TALK_SHARE,
        rate=training.LEARNING_RATE,
        steps=training.STEPS,
        batch=training.BATCH,
        rows="\n".join(f"| {' | '.join(row)} |" for row in rows),
    )


def _shares(weights: Mapping[Character, float]) -> str:
    return ", ".join(f"{character} {weight:.0%}" for character, weight in weights.items())
