"""The report's data on the page of a case: its DVH and gamma histogram as SVG, its tables. Reads `report.json`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mqi_communicator.case.views import CaseView
from mqi_communicator.web import delivered
from mqi_communicator.web.context import Folders

NAME = "report.json"
_FORMAT = "mqi-report/1"
WIDTH, HEIGHT = 640.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 8.0, 36.0
_TICKS = 6
_COLOURS = 10  # classes c0 to c9 of the style sheet


@dataclass(frozen=True, slots=True)
class GridLine:
    """A line of an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One structure of the chart."""

    name: str
    colour: int  # of the style sheet
    planned: str  # points of an SVG polyline
    computed: str
    facts: Mapping[str, Any]  # as in the file


@dataclass(frozen=True, slots=True)
class Chart:
    """The DVH, with what its script needs to show values."""

    curves: tuple[Curve, ...]
    across: tuple[GridLine, ...]
    up: tuple[GridLine, ...]
    unit: str
    extent: str
    reference: str
    top_gy: float
    data: str  # JSON for the script


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the gamma histogram."""

    x: float
    y: float
    width: float
    height: float
    passes: bool
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """What the page shows of the report."""

    version: str  # changes with the file
    facts: Sequence[Sequence[str]]
    beams: Mapping[str, Any] | None
    goals: Mapping[str, Any] | None
    provenance: Sequence[Mapping[str, Any]]
    chart: Chart | None
    criterion: str
    bars: tuple[Bar, ...]


def record_of(case: CaseView, folders: Folders) -> Record | None:
    """The report's data of the delivered results; None where there is none. ValueError if it cannot be read."""
    found = delivered.content(case, folders, NAME)
    return None if found is None else read_record(found[1])


@lru_cache(maxsize=16)
def read_record(data: bytes) -> Record | None:
    """The data of a report.json; None if it has another format."""
    fields = json.loads(data)
    if fields.get("schema") != _FORMAT:
        return None
    gamma = fields["gamma"]
    return Record(
        version=hashlib.sha256(data).hexdigest()[:16],
        facts=fields["facts"],
        beams=fields["beams"],
        goals=fields["goals"],
        provenance=fields["provenance"],
        chart=_chart(fields["dvh"]) if fields["dvh"] else None,
        criterion=gamma["criterion"] if gamma else "",
        bars=_bars(gamma["counts"], gamma["step"]) if gamma else (),
    )


def _chart(dvh: Mapping[str, Any]) -> Chart | None:
    structures, step = dvh["structures"], float(dvh["step_gy"])
    if not structures:
        return None
    top = step * (len(structures[0]["planned"]) - 1)
    curves = tuple(
        Curve(one["name"], number % _COLOURS, _points(one["planned"]), _points(one["computed"]), one)
        for number, one in enumerate(structures)
    )
    shown = [{"planned": one["planned"], "computed": one["computed"]} for one in structures]
    return Chart(
        curves=curves,
        across=tuple(GridLine(_x(gy / top), f"{gy:g}") for gy in _round_steps(top)),
        up=tuple(GridLine(_y(percent), f"{percent}") for percent in range(0, 101, 20)),
        unit=dvh["unit"],
        extent=dvh["extent"],
        reference=dvh["reference"],
        top_gy=top,
        data=json.dumps({"step": step, "unit": dvh["unit"], "curves": shown}, separators=(",", ":")),
    )


def _x(part: float) -> float:
    return round(_LEFT + part * (WIDTH - _LEFT - _RIGHT), 2)


def _y(percent: float) -> float:
    return round(HEIGHT - _BOTTOM - percent / 100 * (HEIGHT - _TOP - _BOTTOM), 2)


def _points(values: Sequence[float]) -> str:
    last = len(values) - 1
    return " ".join(f"{_x(number / last):g},{_y(value):g}" for number, value in enumerate(values))


def _round_steps(top: float) -> list[float]:
    """Doses for the ticks: steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(top / _TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _TICKS >= top)
    return [round(step * number, 6) for number in range(int(top / step) + 1)]


def _bars(counts: Sequence[int], step: float) -> tuple[Bar, ...]:
    """Bars on a logarithmic scale, so that a few failing points are visible."""
    highest = math.log10(max(*counts, 9) + 1)
    base, room = HEIGHT / 2 - _BOTTOM, HEIGHT / 2 - _BOTTOM - _TOP
    width = (WIDTH - _LEFT - _RIGHT) / len(counts)
    bars = []
    for number, count in enumerate(counts):
        high = room * math.log10(count + 1) / highest
        last = number == len(counts) - 1
        text = f"gamma {number * step:.2f} {'and above' if last else f'to {(number + 1) * step:.2f}'}: {count} points"
        passes = (number + 1) * step <= 1 + 1e-9
        bars.append(
            Bar(
                round(_LEFT + number * width, 2),
                round(base - high, 2),
                round(width - 1, 2),
                round(high, 2),
                passes,
                text,
            )
        )
    return tuple(bars)
