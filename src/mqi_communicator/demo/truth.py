"""The ground truth of the samples: grids, beams and spots, placed directly on the phantom.

Directions follow IEC 61217 for a patient head first, supine: fixed x is the patient's left (DICOM +x), fixed y points
to the head (DICOM +z), fixed z points up (DICOM -y). At gantry 0 the beam comes from above; a positive couch angle
turns the patient anticlockwise seen from above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.phantom import (
    BLANKET,
    COUCH,
    SOLIDS,
    TARGET,
    TARGET_CENTRE,
    TARGET_RADIUS,
    Beside,
    solid_at,
)
from mqi_communicator.dicom.records import Beam, Grid, Layer, LayerKind, ShifterSetting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MACHINE = "MQI-DEMO"
FRACTIONS = 5
ISOCENTRE = (13.5, -131.0, 36.0)  # mm; beside the target's centre, so that no beam is symmetric about its axis
_RANGE_AT_150 = 156.2  # mm, R80 of 150 MeV in the phantom's own water (HU 0)
_RANGE_POWER = 1.774  # range grows as energy to this power, from 76.1 mm at 100 MeV to 256.8 mm at 200 MeV
_LATERAL_MARGIN = 7.0  # mm beyond the target's edge that still get spots, against the penumbra
_RIM = 0.12  # how much heavier spots at the rim are than those in the middle, against the penumbra
_WIDEST_RAY = 0.8  # of the target's radius: spots farther out reach as deep as those there
_BEHIND = 1.5  # mm of water behind the target that the deepest layer reaches at least
_INSIDE = 2.0  # mm of water into the target that the shallowest layer reaches at most
_LOWEST_ENERGY = 101.0  # MeV; below 100 MeV the demo beam model has no data


@dataclass(frozen=True, slots=True)
class Field:
    """How one beam is aimed and shaped; its spots follow from the phantom."""

    number: int
    name: str
    gantry: float  # degrees
    couch: float  # degrees
    meterset: float  # MU per fraction
    final_cumulative_weight: float
    slope: tuple[float, float]  # how much the spot weights rise over one target radius, along x and y
    gap: tuple[float, float]  # the corner beyond this (x, y, mm from the target's centre) has no spots
    shifter: ShifterSetting | None = None  # in the beam for all layers
    snout: float = 410.0  # mm, SnoutPosition
    lines: bool = False  # line scanning: rows of spots become lines


@dataclass(frozen=True, slots=True)
class Size:
    """One size of the sample. The planned dose is on `dose_grid`, a part of the grid it was computed on."""

    name: str
    what: str
    ct: Grid
    computed: Grid  # where the planned dose was computed; the CT grid, save for `large`
    margin: tuple[int, int, int]  # voxels (z, y, x) cut off each side of `computed`
    bare: int  # CT slices at either end without contours
    fields: tuple[Field, ...]
    spot_spacing: float  # mm
    energy_step: float  # MeV
    data: str  # stem of the package data with the planned dose
    beside: tuple[Beside, ...] = ()  # what is in the CT outside the body

    @property
    def dose_grid(self) -> Grid:
        """The planned dose's grid."""
        nz, ny, nx = self.computed.shape
        mz, my, mx = self.margin
        (ox, oy, oz), (dx, dy, dz) = self.computed.origin, self.computed.spacing
        return Grid((nz - 2 * mz, ny - 2 * my, nx - 2 * mx), (ox + mx * dx, oy + my * dy, oz + mz * dz), (dx, dy, dz))

    def beams(self) -> tuple[Beam, ...]:
        """The treatment beams with all their spots, in plan order."""
        return tuple(_beam(field, self) for field in self.fields)


_ANTERIOR = Field(1, "F1 anterior", 0.0, 0.0, 60.0, 100.0, (0.03, -0.04), (10.0, 11.0))
_LEFT = Field(2, "F2 left", 100.0, 0.0, 49.3, 320.0, (-0.14, -0.04), (14.0, 6.0))
_RIGHT = Field(3, "F3 right", 270.0, 15.0, 38.0, 57.5, (-0.07, 0.1), (8.0, 13.0))
_TWO_FIELDS = (
    replace(_ANTERIOR, meterset=80.0),
    replace(_LEFT, meterset=66.0, slope=(0.06, 0.05)),
)  # two beams give the dose of three

_STANDARD_CT = Grid((58, 120, 125), (-239.0, -380.0, -45.5), (4.0, 4.0, 3.0))
_TINY_CT = Grid((14, 56, 64), (-148.0, -279.5, -1.0), (5.0, 5.0, 6.0))
_LARGE_CT = Grid((100, 512, 512), (-107.765625, -259.765625, -30.34), (0.46875, 0.46875, 1.32))

STANDARD = Size(
    name="standard",
    what="three beams on a 4 x 4 x 3 mm CT of 58 slices, 500 mm wide: the default",
    ct=_STANDARD_CT,
    computed=_STANDARD_CT,
    margin=(9, 38, 35),
    bare=4,
    fields=(_ANTERIOR, _LEFT, _RIGHT),
    spot_spacing=6.0,
    energy_step=2.5,
    data="standard",
)
TINY = Size(
    name="tiny",
    what="two beams on a 5 x 5 x 6 mm CT of 14 slices: for tests of many cases",
    ct=_TINY_CT,
    computed=_TINY_CT,
    margin=(1, 10, 10),
    bare=1,
    fields=_TWO_FIELDS,
    spot_spacing=8.0,
    energy_step=4.0,
    data="tiny",
)
LARGE = replace(
    STANDARD,
    name="large",
    what="the standard plan and dose with a CT of 100 slices of 512 x 512: for tests of transfers",
    ct=_LARGE_CT,
)
RS_3CM = ShifterSetting("RS_3CM", "IN", 135.9, 34.3)
"""A range shifter near the patient. Its downstream edge is 43 mm upstream of the snout position."""

RS_BLOCK = ShifterSetting("RS_Block", "IN", 368.5, 41.96)
"""A range shifter at the nozzle. Its downstream edge is 61.5 mm downstream of the snout position."""

THROUGH_COUCH = replace(
    TINY,
    what="`tiny` from below, through a couch and a range shifter, and from the left, where a blanket is",
    fields=(
        replace(_TWO_FIELDS[0], name="F1 posterior", gantry=180.0, shifter=RS_3CM, snout=92.9),
        _TWO_FIELDS[1],
    ),
    bare=0,
    data="couch",
    beside=(COUCH, BLANKET),
)
SHIFTED = replace(
    TINY,
    what="`tiny` with a range shifter at the nozzle in the first beam",
    fields=(replace(_TWO_FIELDS[0], shifter=RS_BLOCK, snout=430.0), _TWO_FIELDS[1]),
    data="shifted",
)
LINES = replace(
    TINY,
    what="`tiny` in lines",
    bare=0,
    fields=tuple(replace(field, lines=True) for field in _TWO_FIELDS),
    data="lines",
)
TRUTHS = {size.data: size for size in (STANDARD, TINY, THROUGH_COUCH, SHIFTED, LINES)}
"""All that have a planned dose of their own, by the stem of its file."""

SIZES = {size.name: size for size in (STANDARD, TINY, LARGE)}


def gantry_axes(gantry: float, couch: float) -> tuple[Array, Array, Array]:
    """The IEC gantry axes x, y and z (towards the source) as unit vectors in the DICOM patient system, HFS."""
    g, c = math.radians(gantry), math.radians(couch)
    fixed = (
        (math.cos(g), 0.0, -math.sin(g)),
        (0.0, 1.0, 0.0),
        (math.sin(g), 0.0, math.cos(g)),
    )
    on_table = [(math.cos(c) * x + math.sin(c) * y, -math.sin(c) * x + math.cos(c) * y, z) for x, y, z in fixed]
    x_axis, y_axis, z_axis = (np.array((x, -z, y)) for x, y, z in on_table)
    return x_axis, y_axis, z_axis


def energy_of_range(mm: float) -> float:
    """MeV whose R80 in water is `mm`."""
    return float(150.0 * (mm / _RANGE_AT_150) ** (1.0 / _RANGE_POWER))


def range_of_energy(mev: float) -> float:
    """R80 in water of `mev`, in mm."""
    return float(_RANGE_AT_150 * (mev / 150.0) ** _RANGE_POWER)


def _depths(
    axes: tuple[Array, Array, Array], u: float, v: float, beside: tuple[Beside, ...], before: float
) -> tuple[float, float]:
    """Water-equivalent depths (mm) of the target's near and far side along the spot (u, v), which must hit it.

    `before`: water-equivalent thickness of what is on the way before the CT.
    """
    x_axis, y_axis, z_axis = axes
    step = 0.5
    along = np.arange(200.0, -60.0, -step)  # mm from the isocentre's plane, from the source downwards
    points = np.array(ISOCENTRE)[:, None] + u * x_axis[:, None] + v * y_axis[:, None] + along * z_axis[:, None]
    x, y, z = points
    others = tuple((one.solid, one.solid.stopping_power) for one in beside)
    depth = before + np.cumsum(solid_at(x, y, z, tuple(s.stopping_power for s in SOLIDS), 0.0, others)) * step
    inside = depth[TARGET.holds(x, y, z)]
    return float(inside[0]), float(inside[-1])


def _spread_out(near: float, far: float, energies: list[float]) -> dict[float, float]:
    """Weights of the energies that together give a flat dose between two depths (Bortfeld and Schlegel 1996)."""
    deepest = min(e for e in energies if range_of_energy(e) >= far + _BEHIND)
    shallowest = max(e for e in energies if range_of_energy(e) <= near + _INSIDE)
    used = [e for e in energies if shallowest <= e <= deepest]
    power = 1.0 - 1.0 / 1.35
    edges = [0.0, *((k + 0.5) / len(used) for k in range(len(used)))]
    shares = [edges[k + 1] ** power - edges[k] ** power for k in range(len(used))]
    return dict(zip(sorted(used, reverse=True), shares, strict=True))


def _energies(step: float) -> list[float]:
    highest = 180.0
    count = int((highest - _LOWEST_ENERGY) / step)
    return [round(_LOWEST_ENERGY + step * k, 2) for k in range(count + 1)]


def _spots(field: Field, size: Size) -> dict[float, list[tuple[float, float, float]]]:
    """Spots (x, y, raw weight) by energy, row by row along x."""
    spacing, thickness = size.spot_spacing, field.shifter.wet or 0.0 if field.shifter else 0.0
    axes = gantry_axes(field.gantry, field.couch)
    offset = np.array(TARGET_CENTRE) - np.array(ISOCENTRE)
    cu, cv = float(offset @ axes[0]), float(offset @ axes[1])
    layers: dict[float, list[tuple[float, float, float]]] = {}
    reach = int((TARGET_RADIUS + _LATERAL_MARGIN) // spacing) + 1
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            du, dv = i * spacing + 0.7, j * spacing - 0.4
            in_gap = du > field.gap[0] and dv > field.gap[1]
            away = math.hypot(du, dv)
            if in_gap or away > TARGET_RADIUS + _LATERAL_MARGIN:
                continue
            pulled_in = min(1.0, _WIDEST_RAY * TARGET_RADIUS / away)
            depths = _depths(axes, cu + du * pulled_in, cv + dv * pulled_in, size.beside, thickness)
            tilt = 1.0 + (field.slope[0] * du + field.slope[1] * dv + _RIM * away**2 / TARGET_RADIUS) / TARGET_RADIUS
            for energy, share in _spread_out(*depths, _energies(size.energy_step)).items():
                layers.setdefault(energy, []).append((round(cu + du, 1), round(cv + dv, 1), share * tilt))
    return layers


def _beam(field: Field, size: Size) -> Beam:
    """One beam; its weights are rounded to 1e-4 and their sum is its final cumulative weight."""
    raw = _spots(field, size)
    total = sum(w for spots in raw.values() for _, _, w in spots)
    shifters = (field.shifter,) if field.shifter else ()
    layers = []
    for energy in sorted(raw, reverse=True):
        spots = np.array(raw[energy])
        weights = np.round(spots[:, 2] * field.final_cumulative_weight / total, 4)
        layer = Layer(energy, spots[:, :2].copy(), weights, shifters=shifters)
        layers.append(_in_lines(layer, size.spot_spacing) if field.lines else layer)
    final = round(float(sum(layer.weights.sum() for layer in layers)), 4)
    return Beam(
        *(field.number, field.name, MACHINE, field.gantry, field.couch, ISOCENTRE),
        *(field.meterset, final, tuple(layers)),
        snout_position=field.snout,
    )


def _in_lines(layer: Layer, spacing: float) -> Layer:
    """Each spot becomes a line of its width along x; rows are scanned to and fro, with the beam off between them."""
    points: list[tuple[float, float, float]] = []
    rows = sorted(set(layer.spots[:, 1].tolist()))
    for row, y in enumerate(rows):
        way = 1 if row % 2 == 0 else -1
        there = np.flatnonzero(layer.spots[:, 1] == y)
        for one in there[np.argsort(way * layer.spots[there, 0])]:
            x, half = float(layer.spots[one, 0]), way * spacing / 2
            if not points or abs(points[-1][0] - (x - half)) > 0.5 * spacing or points[-1][1] != y:
                points.append((round(x - half, 1), y, 0.0))
            points.append((round(x + half, 1), y, float(layer.weights[one])))
    scanned = np.array(points)
    return replace(layer, spots=scanned[:, :2].copy(), weights=scanned[:, 2].copy(), kind=LayerKind.LINES)


def digest(size: Size) -> str:
    """Return a sha256 over the phantom, the grid and every spot of a size: what the planned dose was computed for."""
    import hashlib

    from mqi_communicator.demo.phantom import hounsfield

    hashed = hashlib.sha256(hounsfield(size.computed, size.beside).tobytes())
    hashed.update(repr((size.computed, size.margin)).encode())
    for beam in size.beams():
        hashed.update(repr((beam.number, beam.gantry_angle, beam.couch_angle, beam.isocenter, beam.meterset)).encode())
        for layer in beam.layers:
            hashed.update(repr((layer.energy, layer.spots.tolist(), layer.weights.tolist())).encode())
            hashed.update(repr(layer.shifters).encode() if layer.shifters else b"")
    return hashed.hexdigest()
