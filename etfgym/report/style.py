"""How a figure looks, and how it is written: as a PNG for the folder, as an SVG with tooltips for the page.

Colours are those of Okabe and Ito (2008), told apart with any colour vision; an agent has the same colour, marker and
hatch in every figure, so that two of one colour differ, and in print too.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from etfgym.atomic import write_atomically
from etfgym.report.results import BASELINES, HINDSIGHT, HOLD, Results


@dataclass(frozen=True, slots=True)
class Look:
    """How an agent is drawn everywhere."""

    colour: str
    marker: str
    dashes: Any = "solid"
    hatch: str = ""


LOOKS = {
    HOLD: Look("#000000", "|"),
    "ramped-buy-and-hold": Look("#E69F00", "s", (0, (6, 1)), "////"),
    "ma-cross": Look("#009E73", "^", (0, (4, 1, 1, 1)), "----"),
    "random": Look("#CC79A7", "X", (0, (2, 1)), "xxxx"),
    HINDSIGHT: Look("#56B4E9", "D", "solid", "++++"),
}
LEARNER_COLOURS = ("#0072B2", "#D55E00", "#7F7F7F")
LEARNER_LOOKS = tuple(
    Look(colour, marker, dashes, hatch)
    for marker, dashes, hatch in (("o", "solid", ""), ("v", (0, (5, 1)), "\\\\\\\\"), ("P", (0, (1, 1)), "||||"))
    for colour in LEARNER_COLOURS
)
SOFT = "#5b6670"
FAINT = "#9aa3ad"

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 130,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": "#e6e9ed",
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the reader's machine may lack the font
    "svg.hashsalt": "etfgym",  # the same figure is the same bytes
    "text.parse_math": False,  # a ticker may hold a dollar sign
    "xtick.color": "#4a5560",
    "ytick.color": "#4a5560",
}
SMALLEST_TARGET = 9.0
"""Points that a place with a tooltip is wide and high at least, or no finger would hit it."""


def look(results: Results, agent: str) -> Look:
    """Return how the agent is drawn in figures of these results."""
    learners = [name for name in results.agents if name not in BASELINES]
    return LOOKS.get(agent) or LEARNER_LOOKS[learners.index(agent) % len(LEARNER_LOOKS)]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a figure that has something to say: `text` at x and y, from one value to another, in data units."""

    axes: Axes
    x: tuple[float, float]
    y: tuple[float, float] | None
    """None: all of the height."""
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure before it is written, with a caption that says what to look for; a notebook shows it."""

    figure: Figure = field(repr=False)
    caption: str
    marks: Sequence[Mark] = field(repr=False)

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            self.figure.savefig(picture, format="png")
        return picture.getvalue()


@dataclass(frozen=True, slots=True)
class Spot:
    """A rectangle of a drawn figure with its tooltip; points (1/72 inch) from the upper left corner."""

    left: float
    top: float
    width: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure's file, its heading, a caption that says what to look for, its SVG, and where it has tooltips."""

    path: Path
    heading: str
    caption: str
    svg: str
    width: float
    height: float
    spots: Sequence[Spot]


def write_drawing(drawn: Drawn, path: Path, heading: str) -> Drawing:
    """Write a figure as PNG, whole or not at all, and return it with its SVG and the places of its tooltips."""
    figure = drawn.figure
    if layout := figure.get_layout_engine():
        layout.execute(figure)
    figure.set_layout_engine("none")  # laid out once; both files and the tooltips agree
    write_atomically(path, lambda part: figure.savefig(part, format="png"))
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    width, height = 72 * figure.get_size_inches()
    svg = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", text.getvalue(), flags=re.DOTALL)
    svg = re.sub(r' (?:d|x|y)="[^"]*"', _rounded, svg)
    svg = re.sub(r"(?<=data:image/png;base64,)[^\"]*", _of_256_colours, svg)
    spots = [_spot(figure, mark, width, height) for mark in drawn.marks]
    return Drawing(path, heading, drawn.caption, svg, float(width), float(height), spots)


def _rounded(attribute: re.Match[str]) -> str:
    """Return an attribute with numbers of one decimal: a tenth of a point is finer than any screen."""
    return re.sub(r"(?<=\.\d)\d+", "", attribute[0])


def _of_256_colours(image: re.Match[str]) -> str:
    """Return a PNG in base64 with a palette, which is a third of the size: few lines and bands have more colours."""
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(image[0])))
    picture.quantize(method=Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def _spot(figure: Figure, mark: Mark, width: float, height: float) -> Spot:
    """Return where the mark lies; a small one grows around its middle."""
    ends = mark.axes.transData.transform([(x, (mark.y or (0, 0))[end]) for end, x in enumerate(mark.x)])
    if mark.y is None:
        ends[:, 1] = mark.axes.bbox.y0, mark.axes.bbox.y1
    ends = figure.transFigure.inverted().transform(ends) * (width, height)
    (left, right), (bottom, top) = sorted(ends[:, 0]), sorted(ends[:, 1])
    if mark.y is not None:
        more_x, more_y = (max(0.0, SMALLEST_TARGET - size) / 2 for size in (right - left, top - bottom))
        left, right, bottom, top = left - more_x, right + more_x, bottom - more_y, top + more_y
    left, top, wide, high = (round(float(place), 1) for place in (left, height - top, right - left, top - bottom))
    return Spot(left, top, wide, high, mark.text)
