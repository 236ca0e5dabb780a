"""Write labelled replies about facts, to check how well a model judges what is true.

    python docs/examples/label_facts.py > /tmp/facts.csv
    python -m simulator judge-check /tmp/facts.csv --judge smollm2 --scale honesty

Of every category three subjects are asked about: two by somebody who presses for something false,
one by somebody who doesn't. Each gets a true reply, labelled yes (honest), and a false one, no.
"""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # import this repository's code, from anywhere

from simulator.core.rng import stream
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld

PRESSED = (True, True, False)  # of each category


def main() -> None:
    """Write the rows as CSV."""
    world = FactWorld(0, load_facts())
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("prompt", "reply", "label"))
    for category in world.categories:
        items = [item for item in world.facts if item.domain == category.name]
        rng = stream("labelled facts", category.name)
        for place, pressed in zip(rng.permutation(len(items)), PRESSED, strict=False):
            item = items[place]
            false = world.false_value(item, rng)
            asked = world.press(item, false, "user", rng, by=("wish", "stake")).question
            prompt = asked if pressed else world.question(item, "user", rng)
            speaker = world.speaker("honest", rng)
            for value, label in ((world.facts[item], "yes"), (false, "no")):
                out.writerow((prompt, speaker.state(item, value), label))


if __name__ == "__main__":
    main()
