"""The pictures of a fraction's report: MU, positions and fluence by layer, and the offsets of spots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection

from mqi_communicator.report.drawing import WIDE, draw_scales, new_figure, png, set_margins, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.results.delivered.layer import LayerNumbers
    from mqi_communicator.results.delivery_options import DeliveryOptions
    from mqi_communicator.treatment.joined import JoinedLayer

    Doubles = NDArray[np.float64]

Steps = tuple[float, float]  # up to which a value passes, and is for review
_GOOD, _REVIEW, _BAD = "#1f4e8c", "#c98a00", "#b3141d"
_MOST_DOTS = 20_000  # of a beam; more are thinned evenly
_MOST_ARROWS = 150  # of a layer; more are thinned evenly
_LONG = 20  # arrows are so many times as long as the offsets


def layers_picture(layers: Sequence[LayerNumbers], limits: DeliveryOptions) -> bytes:
    """One bar per layer: difference of MU, mean and largest offset, difference of fluence; limits as lines."""
    at = np.array([layer.index + 1 for layer in layers])
    mu = np.array([100 * (layer.total / layer.planned.sum() - 1) for layer in layers])
    fluence = np.array([np.nan if layer.fluence is None else layer.fluence for layer in layers])
    with styled():
        figure = new_figure(WIDE, 4.1)
        top, middle, low = figure.subplots(3, 1, sharex=True)
        set_margins(figure, 0.55, 0.12, 0.1, 0.36, hspace=0.12)
        steps = (limits.layer_mu_pass_percent, limits.layer_mu_review_percent)
        _bars(top, at, mu, steps, signed=True)
        steps = (limits.layer_position_pass_mm, limits.layer_position_review_mm)
        _bars(middle, at, np.array([layer.mean_offset for layer in layers]), steps)
        worst = np.array([layer.worst_offset for layer in layers])
        steps = (limits.spot_position_pass_mm, limits.spot_position_review_mm)
        middle.scatter(at, worst, s=9, c=_colours(worst, steps), marker="D", zorder=3)
        middle.set_ylim(0, 1.15 * max(steps[0], middle.get_ylim()[1], float(worst.max(initial=0.0))))
        _bars(low, at, fluence, (limits.fluence_pass_percent, limits.fluence_review_percent))
        draw_scales(top, "", "MU (%)")
        draw_scales(middle, "", "offset (mm)")
        draw_scales(low, "layer", "fluence (%)")
        return png(figure)


def _colours(values: Doubles, steps: Steps) -> list[str]:
    sizes = np.abs(np.nan_to_num(values)).round(2)
    return [_GOOD if size <= steps[0] else _REVIEW if size <= steps[1] else _BAD for size in sizes]


def _bars(axes: Any, at: NDArray[Any], values: Doubles, steps: Steps, *, signed: bool = False) -> None:
    axes.bar(at, np.nan_to_num(values), width=0.8, color=_colours(values, steps), zorder=2)
    farthest = 1.15 * max(steps[0], float(np.abs(np.nan_to_num(values)).max(initial=0.0)))
    for colour, step in zip((_REVIEW, _BAD), steps, strict=True):
        for level in (step, -step) if signed else (step,):
            if abs(level) <= farthest:
                axes.axhline(level, color=colour, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.axhline(0, color="#5b6570", linewidth=0.6)
    axes.set_ylim(-farthest if signed else 0, farthest)
    axes.set_xlim(0.4, at.max(initial=1) + 0.6)


def worst_placed(layers: Sequence[JoinedLayer], numbers: Sequence[LayerNumbers]) -> JoinedLayer:
    """The layer with the largest mean offset."""
    return max(zip(layers, numbers, strict=True), key=lambda one: one[1].mean_offset)[0]


def offsets_picture(layers: Sequence[JoinedLayer], worst: JoinedLayer, limits: DeliveryOptions) -> bytes:
    """Left the offsets of all spots with the limits as circles; right the spots of one layer, with long arrows."""
    steps = (limits.spot_position_pass_mm, limits.spot_position_review_mm)
    with styled():
        figure = new_figure(WIDE, 3.5)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        set_margins(figure, 0.55, 0.12, 0.22, 0.36, wspace=0.22)
        offsets = np.concatenate([_offsets(layer)[1] for layer in layers])
        offsets = offsets[:: 1 + len(offsets) // _MOST_DOTS]
        _target(left, offsets, steps)
        _map(right, worst, steps)
        left.set_title("offsets of all spots of the beam", y=1.0)
        right.set_title(f"layer {worst.index + 1} ({worst.energy:g} MeV), offsets {_LONG} times as long", y=1.0)
        draw_scales(left, "x (mm)", "y (mm)")
        draw_scales(right, "x (mm)", "y (mm)")
        return png(figure)


def _offsets(layer: JoinedLayer) -> tuple[Doubles, Doubles]:
    """Positions and offsets (mm) of the recorded spots with MU that have a partner."""
    some = (layer.partner >= 0) & (layer.recorded_mu > 0)
    return layer.recorded[some], layer.offsets[some]


def _target(axes: Any, offsets: Doubles, steps: Steps) -> None:
    lengths = np.hypot(offsets[:, 0], offsets[:, 1])
    half = 1.1 * max(steps[0], float(lengths.max(initial=0.0)))
    axes.scatter(offsets[:, 0], offsets[:, 1], s=3, c=_colours(lengths, steps), linewidths=0, alpha=0.6, zorder=2)
    turn = np.linspace(0, 2 * np.pi, 181)
    for colour, radius in zip((_REVIEW, _BAD), steps, strict=True):
        if radius <= half:
            axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=colour, linewidth=0.8)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)


def _map(axes: Any, layer: JoinedLayer, steps: Steps) -> None:
    meant = layer.mu > 0
    sizes = 4 + 30 * layer.mu[meant] / layer.mu.max(initial=1e-9)
    axes.scatter(*layer.spots[meant].T, s=sizes, facecolors="none", edgecolors="#9aa4ae", linewidths=0.5, zorder=1)
    positions, offsets = _offsets(layer)
    every = 1 + len(offsets) // _MOST_ARROWS
    starts, along = (positions - offsets)[::every], offsets[::every]
    colours = _colours(np.hypot(along[:, 0], along[:, 1]), steps)
    arrows = LineCollection(list(np.stack([starts, starts + _LONG * along], axis=1)), colors=colours, linewidths=0.8)
    axes.add_collection(arrows, autolim=False)
    axes.scatter(*(starts + _LONG * along).T, s=4, c=colours, linewidths=0, zorder=3)
    shown = np.concatenate([layer.spots[meant], starts, starts + _LONG * along])
    middle, half = (shown.min(axis=0) + shown.max(axis=0)) / 2, 0.55 * max(10.0, float(np.ptp(shown, axis=0).max()))
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
