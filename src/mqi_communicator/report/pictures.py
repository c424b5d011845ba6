"""The pictures of a report, as PNG. Planned and computed dose share one colour scale.

Uses no pyplot, and so no global state of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap

from mqi_communicator.report.analysis import DvhTable
from mqi_communicator.report.drawing import WIDE, draw_scales, new_figure, png, set_margins, styled
from mqi_communicator.report.gammas import CEILING
from mqi_communicator.report.planes import Slice, View, edges_of
from mqi_communicator.results.planes import Plane, Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLANNED, COMPUTED = "#1f4e8c", "#c8501e"  # distinguishable for all, also in grey
_AXES = ("axial", "coronal", "sagittal")
_SIDES = (("R", "L", "A", "P"), ("R", "L", "F", "H"), ("A", "P", "F", "H"))  # left, right, low row, high row
_WINDOW = (-300.0, 400.0)  # HU
_OFF = 8.0  # %: fixed scale of differences in profiles
_FROM = 0.1  # of the maximum: lower dose is not coloured
MOST_CURVES = 20  # in one DVH
_EVERY = 10  # levels of a DVH: one is drawn
_COLOURS = (
    "#d62728",
    "#2ca02c",
    "#1f77b4",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
    "#17becf",
    "#ff7f0e",
)


def view_picture(view: View, top: float) -> bytes:
    """Three planes below one another (axial, coronal, sagittal): planned, computed, difference and gamma side by side.
    Without a planned dose: the computed dose in the three planes side by side."""
    with styled():
        alone = view.planes[0].planned is None
        rows, columns = (1, 3) if alone else (3, 4)
        side = (WIDE - 0.3) / columns
        high = 0.75 + rows * side
        figure = new_figure(WIDE, high)
        grid = figure.subplots(rows, columns, squeeze=False)
        set_margins(figure, 0.28, 0.02, 0.2, 0.55, wspace=0.03 if not alone else 0.12, hspace=0.03)
        last: list[tuple[Any, Any, str]] = []
        for row, plane in enumerate(view.planes):
            name = f"{_AXES[row]}, {'zyx'[plane.axis]} = {plane.at:.1f} mm"
            for column, (kind, unit, values) in enumerate(_layers(plane, top)):
                axes = grid[0][row] if alone else grid[row][column]
                image = _panel(axes, view, row, kind, values, top)
                if alone or row == 0:
                    axes.set_title(kind, pad=3, y=1.0)
                if alone or column == 0:
                    axes.set_ylabel(name)
                if alone or row == rows - 1:
                    last.append((axes, image, unit))
        for axes, image, unit in last:
            _scale(figure, axes, image, unit, high)
        return png(figure)


def _scale(figure: Any, axes: Any, image: Any, unit: str, high: float) -> None:
    """The colour scale below a panel."""
    box = axes.get_position()
    place = figure.add_axes((box.x0 + 0.06 * box.width, 0.42 / high, 0.88 * box.width, 0.09 / high))
    bar = figure.colorbar(image, cax=place, orientation="horizontal")
    bar.set_label(unit, labelpad=1)
    bar.outline.set_linewidth(0.4)


def _layers(plane: Plane, top: float) -> list[tuple[str, str, NDArray[Any]]]:
    """The panels of one plane: name, unit, values."""
    if plane.planned is None or plane.gamma is None:
        return [("computed", "Gy", plane.computed)]
    some = (plane.planned >= _FROM * top) | (np.nan_to_num(plane.computed) >= _FROM * top)
    off = np.where(some, 100 * (plane.computed - plane.planned) / top, np.nan)
    return [
        ("planned", "Gy", plane.planned),
        ("computed", "Gy", plane.computed),
        ("computed - planned", "% of the planned maximum", off),
        ("gamma (red: above 1)", "gamma", plane.gamma),
    ]


def _panel(axes: Any, view: View, row: int, kind: str, values: NDArray[Any], top: float) -> Any:
    plane, ct = view.planes[row], view.ct[row]
    _draw_ct(axes, ct)
    look: dict[str, Any]
    if kind in ("planned", "computed"):
        shown = np.where(values >= _FROM * top, values, np.nan)
        look = {"cmap": "turbo", "vmin": 0.0, "vmax": 1.1 * top, "alpha": 0.62}
    elif kind.startswith("gamma"):
        shown, look = values, {"cmap": _gamma_colours(), "vmin": 0.0, "vmax": CEILING, "alpha": 0.85}
    else:
        shown, look = values, {"cmap": "RdBu_r", "vmin": -10.0, "vmax": 10.0, "alpha": 0.8}
    left, right, first, last = edges_of(plane.rows, plane.columns)
    image = axes.imshow(
        shown, extent=(left, right, last, first), interpolation="nearest", origin="upper", aspect="auto", **look
    )
    for colour, width in (("white", 1.6), ("black", 0.7)):  # hundreds of strokes: one artist, not one each
        strokes = LineCollection(
            view.outlines[row], colors=colour, linewidths=width, capstyle="butt", joinstyle="round", zorder=2
        )
        axes.add_collection(strokes, autolim=False)
    across, down = [(0, 1), (0, 2), (1, 2)][row]
    axes.plot(view.point[across], view.point[down], "+", color="black", markersize=7, markeredgewidth=1.4)
    axes.plot(view.point[across], view.point[down], "+", color="white", markersize=6, markeredgewidth=0.7)
    _frame(axes, view, row)
    return image


def _draw_ct(axes: Any, ct: Slice) -> None:
    left, right, first, last = ct.edges
    axes.imshow(
        ct.hu,
        extent=(left, right, last, first),
        origin="upper",
        cmap="gray",
        vmin=_WINDOW[0],
        vmax=_WINDOW[1],
        interpolation="bilinear",
        aspect="auto",
    )


def _frame(axes: Any, view: View, row: int) -> None:
    """Set the visible square and the direction labels; remove ticks."""
    across, down = [(0, 1), (0, 2), (1, 2)][row]
    axes.set_xlim(view.centre[across] - view.half, view.centre[across] + view.half)
    low, high = view.centre[down] - view.half, view.centre[down] + view.half
    axes.set_ylim(
        (high, low) if row == 0 else (low, high)
    )  # posterior is down in axial planes; head is up in the others
    axes.set_aspect("equal")
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    left, right, lower, upper = _SIDES[row]
    top, bottom = (lower, upper) if row == 0 else (upper, lower)
    marks = ((left, 0.03, 0.5), (right, 0.97, 0.5), (top, 0.5, 0.96), (bottom, 0.5, 0.04))
    for text, x, y in marks:
        axes.text(
            *(x, y, text), transform=axes.transAxes, color="white", fontsize=6, ha="center", va="center", alpha=0.9
        )


def _gamma_colours() -> Any:
    """Blue to pale up to 1, red above."""
    half = 1 / CEILING
    stops = [(0.0, "#08306b"), (half, "#deebf7"), (half, "#fb6a4a"), (1.0, "#67000d")]
    return LinearSegmentedColormap.from_list("gamma", stops)


def profile_picture(profiles: Sequence[Profile]) -> bytes:
    """Profiles side by side, planned and computed above, below their difference in % of the planned maximum there."""
    with styled():
        compared = profiles[0].planned is not None
        rows = 2 if compared else 1
        figure = new_figure(WIDE, 2.35 if compared else 1.9)
        axes = figure.subplots(rows, len(profiles), squeeze=False, sharex="col", height_ratios=(3, 1)[:rows])
        set_margins(figure, 0.5, 0.1, 0.2, 0.36, wspace=0.17, hspace=0.1)
        for column, profile in enumerate(profiles):
            _curves(axes[0][column], profile)
            if compared:
                _difference(axes[1][column], profile)
            draw_scales(axes[0][column], "" if compared else f"mm{profile.axis_note}", "" if column else "dose (Gy)")
            if compared:
                draw_scales(axes[1][column], f"mm{profile.axis_note}", "" if column else "diff. (%)", (-5, 0, 5))
        axes[0][0].legend(loc="best", frameon=False)
        return png(figure)


def _curves(axes: Any, profile: Profile) -> None:
    if profile.planned is not None:
        axes.plot(profile.mm, profile.planned, color=PLANNED, linewidth=1.6, label="planned")
    axes.plot(profile.mm, profile.computed, color=COMPUTED, linewidth=1.0, linestyle=(0, (4, 1.2)), label="computed")
    axes.set_title(profile.title, y=1.0)  # given: then it is not searched for
    axes.margins(x=0)
    axes.set_ylim(bottom=0)


def _difference(axes: Any, profile: Profile) -> None:
    """Computed minus planned in % of the planned maximum of this line, on a fixed scale."""
    assert profile.planned is not None  # noqa: S101 - the caller draws no difference otherwise
    top = float(np.nanmax(profile.planned, initial=0.0)) or 1.0
    off = 100 * (profile.computed - profile.planned) / top
    axes.plot(profile.mm, np.clip(off, -2 * _OFF, 2 * _OFF), color="#333333", linewidth=0.9)
    axes.margins(x=0)
    axes.set_ylim(-_OFF, _OFF)
    axes.axhline(0, color="#999999", linewidth=0.5)


def dvh_picture(volumes: DvhTable, names: Sequence[str]) -> bytes:
    """Cumulative DVH of each structure: solid planned, dashed computed. `names` are those of the rows."""
    with styled():
        figure = new_figure(WIDE, 3.0)
        axes = figure.subplots()
        set_margins(figure, 0.42, 2.0, 0.08, 0.36)
        drawn = list(zip(volumes.rows, names, strict=True))[:MOST_CURVES]
        for index, ((_structure, made), name) in enumerate(drawn):
            colour = _COLOURS[index % len(_COLOURS)]
            planned, computed = (100 * dose.volume[::_EVERY] for dose in (made.planned, made.computed))
            levels = made.planned.step * _EVERY * np.arange(planned.size)
            axes.plot(levels, planned, color=colour, linewidth=1.4, label=name)
            axes.plot(levels, computed, color=colour, linewidth=1.1, linestyle=(0, (3, 1.5)))
        axes.axvline(volumes.v95_gy, color="#555555", linewidth=0.7, linestyle=":")
        axes.plot([], [], color="#333333", linewidth=1.4, label="solid: planned")
        axes.plot([], [], color="#333333", linewidth=1.1, linestyle=(0, (3, 1.5)), label="dashed: computed")
        axes.plot([], [], color="#555555", linewidth=0.7, linestyle=":", label=f"95 % dose, {volumes.v95_gy:.2f} Gy")
        axes.set_xlabel("dose (Gy)")
        axes.set_ylabel("volume (%)")
        axes.set_ylim(0, 102)
        axes.set_xlim(left=0)
        axes.grid(color="#dddddd", linewidth=0.4)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return png(figure)


def gamma_picture(values: NDArray[np.float32]) -> bytes:
    """Histogram of gamma, logarithmic, so that a few failing points are visible."""
    with styled():
        figure = new_figure(WIDE, 1.9)
        axes = figure.subplots()
        set_margins(figure, 0.5, 0.12, 0.06, 0.36)
        edges = np.linspace(0, CEILING, 41)
        counts, _ = np.histogram(np.minimum(values, CEILING), edges)
        colours = ["#4a7ebb" if edge < 1 - 1e-9 else "#c0392b" for edge in edges[:-1]]
        axes.bar(
            edges[:-1], counts, width=np.diff(edges), align="edge", color=colours, edgecolor="white", linewidth=0.3
        )
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
        axes.set_ylim(bottom=0.7)
        axes.set_xlim(0, CEILING)
        axes.set_xlabel(f"gamma (the last bar includes all values above {edges[-2]:.2f})")
        axes.set_ylabel("points")
        axes.grid(axis="y", color="#dddddd", linewidth=0.4)
        axes.set_axisbelow(True)
        return png(figure)
