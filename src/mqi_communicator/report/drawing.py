"""What all pictures of a report share: size, style, scales, and the PNG.

Uses no pyplot, and so no global state of matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib import font_manager, ft2font, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_DPI = 160
WIDE = 7.3  # inches: the text width of a page
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "legend.fontsize": 6.5,
    "text.parse_math": False,  # a name may contain dollar signs
}


def new_figure(width: float, height: float) -> Any:
    """An empty figure of this size in inches. Its layout is explicit: an automatic one needs a second draw."""
    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def set_margins(figure: Any, left: float, right: float, top: float, bottom: float, **between: float) -> None:
    """Set the margins in inches."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, **between)


def png(figure: Any) -> bytes:
    """The figure as PNG. Equal figures give equal bytes."""
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def styled() -> Any:
    """A context in which figures have the style of the report."""
    return rc_context(_STYLE)


def glyphs() -> dict[int, int]:
    """The code points of the font of pictures and PDF."""
    known: Any = ft2font.FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return dict(known)


def draw_scales(axes: Any, below: str, beside: str, levels: Sequence[float] | None = None) -> None:
    """Numbers and grid lines of both axes; numbers of x, if they have the label `below`. `levels`: the numbers of y.

    matplotlib's own ticks are five artists each, and take half of the time of drawing."""
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    across, up = _round_numbers(left, right), _round_numbers(low, high) if levels is None else levels
    lines = [((x, low), (x, high)) for x in across] + [((left, y), (right, y)) for y in up]
    axes.add_collection(LineCollection(lines, colors="#dddddd", linewidths=0.4, zorder=0.5), autolim=False)
    width, height = axes.get_position().size * axes.figure.get_size_inches() * 72  # points
    for y in up:
        axes.text(-3 / width, y, _number(y), transform=axes.get_yaxis_transform(), ha="right", va="center")
    if below:
        for x in across:
            axes.text(x, -3 / height, _number(x), transform=axes.get_xaxis_transform(), ha="center", va="top")
        axes.text(0.5, -13 / height, below, transform=axes.transAxes, ha="center", va="top")
    if beside:
        axes.text(-22 / width, 0.5, beside, transform=axes.transAxes, ha="right", va="center", rotation=90)


def _round_numbers(low: float, high: float) -> list[float]:
    """A few round numbers between two."""
    return [float(at) for at in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= at <= high]


def _number(value: float) -> str:
    """A number with a minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
