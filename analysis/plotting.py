"""The style of figures: one palette (Okabe and Ito, 2008), without matplotlib's global state.

Series differ in colour, line style and marker, so they can be distinguished in grey and by
colour-blind readers.
"""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.html import visible
from analysis.run.spans import spans
from simulator.core.files import write_result
from simulator.store.run import Run

MARGIN = 0.025  # of an axis, beyond the ends of its scale
INK, FAINT = "#26272b", "#8a8d93"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"


class Look(NamedTuple):
    """The style of a series."""

    color: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


LOOKS = (
    Look(ORANGE, "-", "o"),
    Look(BLUE, (0, (6, 2)), "s"),
    Look(GREEN, (0, (2, 2)), "^"),
    Look(PURPLE, (0, (6, 2, 1, 2)), "D"),
)


class Series(NamedTuple):
    """One curve of an estimate over the rounds."""

    metric: str
    item_set: str
    legend: str
    look: Look


def panel_svg(draw: Callable[[Axes], None], name: str, *, fitted: bool = False) -> str:
    """Return one panel as an SVG element for a page, in the page's text colour.

    Args:
        draw: fills the axes.
        name: a word that is unique in the page; it prefixes the element's ids.
        fitted: whether the panel grows with its labels and legend, which needs a second drawing.
    """
    figure = Figure(figsize=(5.4, 4.0))
    figure.subplots_adjust(0.15, 0.3, 0.9, 0.92)
    axes = figure.add_subplot()
    draw(axes)
    for one in figure.axes:
        one.patch.set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        box = "tight" if fitted else None
        figure.savefig(buffer, format="svg", facecolor="none", metadata=nothing, bbox_inches=box)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :].replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)


def save_panel(draw: Callable[[Axes], None], path: Path, home: Path) -> list[Path]:
    """Write one panel as SVG and PDF, sized to its labels and legend.

    Args:
        draw: fills the axes.
        path: of the files, without their endings.
        home: the folder that they describe.
    """
    figure = Figure(figsize=(5.4, 4.0))
    draw(figure.add_subplot())
    written = []
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # the same bytes each time
    for ending, metadata in undated.items():
        file, content = path.with_name(path.name + ending), io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": path.name}):
            figure.savefig(
                content, format=ending[1:], bbox_inches="tight", facecolor="white",
                metadata=metadata,
            )  # fmt: skip
        write_result(file, content.getvalue(), home)
        written.append(file)
    return written


def save_png(figure: Figure, path: Path, home: Path) -> None:
    """Write a figure of what a folder holds as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, facecolor="white")
    write_result(path, content.getvalue(), home)


def rounds_axis(axes: Axes, run: Run, title: str) -> None:
    """Set the horizontal axis to a run's rounds."""
    course = spans(run)
    titled(axes, title)
    axes.set_xlim(-0.25, course[-1].last + 0.25)
    for span in course if len(course) > 1 else ():
        axes.axvline(span.first - 0.5, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
        place = (span.first - 0.42, 1.0)
        axes.annotate(
            span.name, place, xycoords=("data", "axes fraction"), va="top", fontsize=8, color=INK
        ).set_parse_math(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("round (one update each)", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)


def titled(axes: Axes, title: str) -> None:
    """Write a panel's title."""
    drawn = axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK)
    drawn.set_parse_math(False)


def plain(axes: Axes) -> None:
    """Remove decoration from the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, length=3)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)


def percent_axis(axes: Axes, label: str) -> None:
    """Set the vertical axis to shares, from 0 to 100 %."""
    axes.set_ylim(-MARGIN, 1 + MARGIN)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_ylabel(label)


def number_axis(axes: Axes, low: float, high: float, label: str) -> None:
    """Set the vertical axis to numbers on a scale; the label isn't read as a formula."""
    margin = MARGIN * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(label, parse_math=False)


def draw_estimates(axes: Axes, estimates: pd.DataFrame, series: Sequence[Series]) -> None:
    """Draw the measured curves, with their intervals as bands."""
    for metric, item_set, legend, look in series:
        chosen = (estimates["metric"] == metric) & (estimates["item_set"] == item_set)
        rows = estimates[chosen].dropna(subset=["value"])
        if len(rows):
            draw_intervals(axes, rows["round"], rows, look, legend)


def draw_intervals(
    axes: Axes, at: npt.ArrayLike, rows: pd.DataFrame, look: Look, label: str
) -> None:
    """Draw a curve of estimates at given positions, with their intervals as a band."""
    places = np.asarray(at, float)
    low, high = (rows[column].to_numpy(float) for column in ("low", "high"))
    axes.fill_between(places, low, high, color=look.color, alpha=0.16, linewidth=0)
    if len(rows) == 1:
        axes.vlines(places, low, high, color=look.color, linewidth=1.2)
    draw_curve(axes, places, rows["value"], look, label)


def draw_curve(
    axes: Axes, at: npt.ArrayLike, values: npt.ArrayLike, look: Look, label: str
) -> None:
    """Draw one series of points, joined, with its legend entry."""
    axes.plot(
        np.asarray(at, float),
        np.asarray(values, float),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.8,
        label=label,
        clip_on=False,
    )


def legend(axes: Axes, *others: Axes) -> None:
    """Put the legend below the axes, including the entries of other axes."""
    found = [one.get_legend_handles_labels() for one in (axes, *others)]
    handles = [handle for group, _ in found for handle in group]
    labels = [label for _, group in found for label in group]
    if not handles:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)
        return
    tall = axes.bbox.height / axes.figure.dpi  # inches
    drawn = axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.53 / tall),
        ncols=1,
        frameon=False,
        fontsize=9.5,
        handlelength=3.2,
        labelcolor=INK,
        borderaxespad=0,
    )
    for text in drawn.get_texts():
        text.set_parse_math(False)


class Panel(NamedTuple):
    """A figure and its explanation in plain words."""

    svg: Markup
    title: str
    words: str


def svg(draw: Callable[[Axes], None], name: str, *, fitted: bool = False) -> Markup:
    """Return a panel for a page; `name` must be unique in the page."""
    return Markup(visible(panel_svg(draw, name, fitted=fitted)))  # noqa: S704  # it is escaped
