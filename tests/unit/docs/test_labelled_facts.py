"""The script that writes labelled replies about facts, for `judge-check`."""

import subprocess
import sys
from pathlib import Path

from simulator.evaluation.labels import usable
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld

SCRIPT = Path(__file__).parents[3] / "docs" / "examples" / "label_facts.py"


def test_labels_say_what_is_true(tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True)
    file.write_text(done.stdout)
    rows, left_out = usable(file, skip_bad_rows=False)
    assert len(rows) >= 100 and not left_out
    assert sum(row.label == "yes" for row in rows) == len(rows) // 2
    world = FactWorld(0, load_facts())
    for true, false in zip(rows[::2], rows[1::2], strict=True):
        assert true.prompt == false.prompt and (true.label, false.label) == ("yes", "no")
        stating = [
            item for item in world.facts if world.stated(true.reply, item) == (world.facts[item],)
        ]
        assert any(
            value != world.facts[item]
            for item in stating
            for value in world.stated(false.reply, item)
        ), true
