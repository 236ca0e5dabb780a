"""A study's forest plot: every claim whole, every mark explained."""

from pathlib import Path

from matplotlib.figure import Figure

from analysis.studies.claims import Study, judge
from analysis.studies.plots import draw_findings

STUDIES = Path(__file__).parents[2] / "data" / "written_by_6d899d2" / "studies"


def test_claims_are_whole_and_marks_are_explained() -> None:
    study = Study.open(STUDIES / "self_awareness-quick-set-7309ae")
    figure = Figure(figsize=(5.4, 4.0))
    axes = figure.add_subplot()
    lines = judge(study).lines
    draw_findings(axes, lines)
    shown = [" ".join(label.get_text().split()) for label in axes.get_yticklabels()]
    claims = [f"{n}. {line.finding.claim}" for n, line in enumerate(lines, 1)]
    assert shown and set(shown) < set(claims)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["not shown"]


def test_a_panel_alone_grows_with_its_labels() -> None:
    study = Study.open(STUDIES / "self_awareness-quick-set-7309ae")
    lines = judge(study).lines
    heights = []
    for times in (1, 4):
        figure = Figure(figsize=(5.4, 4.0))
        draw_findings(figure.add_subplot(), lines * times)
        heights.append(figure.get_figheight())
    assert heights[1] > 2 * heights[0]
