"""What earlier formats call otherwise is read by today's names."""

import pandas as pd

from simulator.store.earlier_formats import present_summary, present_table


def test_a_summary_of_format_1() -> None:
    then = {
        "round": 1,
        "talks": {"replies": 8},
        "taught_lengths": {"follow": {"n": 3}, "avoid": None},
    }
    assert present_summary(then) == {
        "round": 1,
        "conversation_counts": {"replies": 8},
        "taught_lengths": {"desirable": {"n": 3}, "undesirable": None},
    }
    assert present_summary({"round": 0, "taught_lengths": None}) == {
        "round": 0,
        "taught_lengths": None,
    }


def test_a_table_of_format_1() -> None:
    then = pd.DataFrame({"measure": ["base toward", "steered_+2 away", "belief"]})
    assert list(present_table(then)["measure"]) == [
        "base positive",
        "steered_+2 negative",
        "belief",
    ]
    other = pd.DataFrame({"rating": [1.0]})
    assert present_table(other) is other
