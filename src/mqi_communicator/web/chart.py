"""The points of a trend chart, which the page draws as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.case.figure import Figure

WIDTH, HEIGHT, EDGE = 600.0, 120.0, 8.0


@dataclass(frozen=True, slots=True)
class Point:
    """One case in the chart."""

    x: float
    y: float
    figure: Figure


@dataclass(frozen=True, slots=True)
class Trend:
    """The values of one check on one machine, oldest case on the left."""

    machine: str
    name: str
    unit: str
    low: float
    high: float
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        """The points of an SVG polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def trend_of(machine: str, name: str, found: Sequence[Figure]) -> Trend | None:
    """The chart; None if no case has a value. The scale has a margin, also if all values are equal."""
    values = [figure.value for figure in found if figure.value is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.01 * max(abs(high), 1.0)
    low, high = low - margin, high + margin
    step = (WIDTH - 2 * EDGE) / max(len(found) - 1, 1)
    points = tuple(
        Point(EDGE + number * step, HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (figure.value - low) / (high - low), figure)
        for number, figure in enumerate(found)
        if figure.value is not None
    )
    return Trend(machine, name, found[0].unit, min(values), max(values), points)
