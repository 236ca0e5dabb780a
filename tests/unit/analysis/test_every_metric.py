"""Metrics of the same digits throughout stand once in the report; nothing else is put together."""

import pandas as pd

from analysis.run.every_metric import every_metric


def rows(**values: dict[str, list[float]]) -> pd.DataFrame:
    """Returns estimates of metrics, by item set and round."""
    return pd.DataFrame(
        {"round": n, "metric": metric, "item_set": s, "value": v, "low": v - 0.1, "high": v + 0.1}
        for metric, sets in values.items()
        for s, course in sets.items()
        for n, v in enumerate(course)
    )


def test_the_same_digits_stand_under_one_name_that_names_the_others() -> None:
    known = {"used": [0.8, 0.4], "ood": [0.9, 0.7]}
    lines = every_metric(rows(honesty=known, p_lie={"used": [0.1, 0.5]}, honesty_now=known))
    assert [(line.name, line.items) for line in lines] == [
        ("honesty under pressure", "items that users talked about"),
        ("honesty under pressure", "domains never talked about"),
        ("lies under pressure", "items that users talked about"),
    ]
    assert [line.alike for line in lines] == [
        ("honesty under pressure (beliefs of the round)",), (), ()
    ]  # fmt: skip
    assert lines[0].cells == {0: "80 % [70–90]", 1: "40 % [30–50]"}


def test_one_other_digit_anywhere_keeps_metrics_apart() -> None:
    lines = every_metric(
        rows(
            honesty={"used": [0.8, 0.4], "ood": [0.9, 0.7]},
            honesty_now={"used": [0.8, 0.4], "ood": [0.9, 0.71]},
            p_honest={"used": [0.8, 0.4]},
        )
    )
    assert len(lines) == 5 and not any(line.alike for line in lines)
