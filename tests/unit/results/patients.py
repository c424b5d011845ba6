"""Synthetic proton fields on a synthetic patient, without an engine: what a planning system and an engine would write.

A field is the sum of its rays. Along a ray lies a spread-out Bragg peak from the near to the far edge of the target
(the closed form of Bortfeld & Schlegel, Phys. Med. Biol. 41 (1996) 1331), blurred by range straggling; across it all
rays are blurred by the spot size. Water throughout, parallel rays, lengths in mm, doses in Gy of the whole course.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from tests.unit.results.conftest import TO_MEDIUM, travel

from mqi_communicator.dicom.records import Beam, Dose, Grid, IonPlan, Layer

STRAGGLING = 2.5  # 1 sigma of the distal edge: R80-R20 of 4.2 mm
SPOT = 4.5  # 1 sigma across the beam, in the patient
MARGIN = 4.0  # of spots beyond the target, across the beam and along it
STEP = 1.5  # of the table of a field
TPS = 3.0  # voxels of the planned dose, all sides
ENGINE = (2.5, 2.5, 3.0)  # voxels of the CT, on which the engine computes
OFFSETS = {"planned": (0.4, -0.7, 0.3), "computed": (0.0, 0.9, -1.1)}  # the two grids have no voxel in common


@dataclass(frozen=True)
class Ellipsoid:
    """One part of a target: its centre relative to the isocentre, and its half axes along x, y, z."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]


@dataclass(frozen=True)
class Patient:
    """A trunk or a head, an elliptic cylinder along z, and a target in it. Relative to the isocentre."""

    target: tuple[Ellipsoid, ...]
    middle: tuple[float, float]  # of the body, x and y
    half: tuple[float, float]  # of the body, x and y
    reach: float  # half width of a cube about the isocentre that holds the dose
    wide: float  # half width of a square across any beam that holds the dose


@dataclass(frozen=True)
class Field:
    """One beam: where it comes from, and its share of the dose."""

    number: int
    gantry: float
    couch: float
    share: float


@dataclass(frozen=True)
class Case:
    """A patient and the plan for it."""

    name: str
    patient: Patient
    fields: tuple[Field, ...]
    isocentre: tuple[float, float, float]
    gy: float  # in the target
    fractions: int
    noise: float  # 1 sigma of a beam where its dose is at least half of its maximum

    def plan(self) -> IonPlan:
        """The RT Ion Plan."""
        layer = Layer(120.0, np.zeros((1, 2)), np.ones(1))
        beams = tuple(
            Beam(f.number, f"F{f.number}", "MQI-TEST", f.gantry, f.couch, self.isocentre, 100.0, 100.0, (layer,))
            for f in self.fields
        )
        return IonPlan("1.2.3", "1.2.4", "1.2.5", "label", "ACME", self.fractions, beams)

    def grid(self, whose: str) -> Grid:
        """The grid of the `planned` or the `computed` doses."""
        steps = (TPS, TPS, TPS) if whose == "planned" else ENGINE
        room = self.patient.reach + (0.0 if whose == "planned" else 6.0)
        counts = [int(2 * room / step) + 1 for step in steps]
        origin = [c - room + off for c, off in zip(self.isocentre, OFFSETS[whose], strict=True)]
        return Grid((counts[2], counts[1], counts[0]), (origin[0], origin[1], origin[2]), steps)


@dataclass(frozen=True)
class Wrong:
    """The errors of a computed field; none by default."""

    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)  # mm, along x, y, z
    scale: float = 1.0
    deeper: float = 0.0  # mm
    gantry: float | None = None  # the actual gantry angle
    couch: float | None = None
    flipped: bool = False  # the patient's left and right, about the isocentre
    spots_flipped: bool = False  # the spots' x, in the beam's own view
    dose_of: Patient | None = None  # whose target was irradiated
    ct_of: Patient | None = None  # through whose body the field of the right patient went


RIGHT = Wrong()


def planned(case: Case) -> list[Dose]:
    """What the planning system exports: the plan, then its beams; nothing outside the body."""
    grid = case.grid("planned")
    points = _points(grid) - np.asarray(case.isocentre)
    patient = case.patient
    radius = [(points[..., i] - patient.middle[i]) / patient.half[i] for i in (0, 1)]
    inside = radius[0] ** 2 + radius[1] ** 2 <= 1
    beams = [
        Dose(grid, np.where(inside, _field(case, f, RIGHT, points), 0).astype(np.float32), TO_MEDIUM, f.number)
        for f in case.fields
    ]
    whole = replace(beams[0], gy=np.sum([b.gy for b in beams], axis=0), beam_number=None)
    return [whole, *beams]


def computed(case: Case, wrong: Callable[[Field], Wrong] = lambda _: RIGHT, *, seed: int = 1) -> list[Dose]:
    """What the engine computes: a dose per beam on the CT's grid, with its statistical noise."""
    grid = case.grid("computed")
    doses = []
    for field in case.fields:
        made = wrong(field)
        clean = made.scale * _clean(replace(case, noise=0), field, replace(made, scale=1.0))
        level = float(clean[clean >= 0.5 * clean.max()].mean())
        rough = np.random.default_rng((seed, field.number)).normal(size=clean.shape)
        gy = np.maximum(clean + case.noise * np.sqrt(clean * level) * rough, 0)  # counting statistics
        doses.append(Dose(grid, gy.astype(np.float32), TO_MEDIUM, field.number, uncertainty=case.noise))
    return doses


@lru_cache(maxsize=12)  # the correct fields are used repeatedly; a dose without noise is at most 8 MB
def _clean(case: Case, field: Field, wrong: Wrong) -> np.ndarray:
    points = _points(case.grid("computed")) - np.asarray(case.isocentre)
    return _field(case, field, wrong, points)


def _points(grid: Grid) -> np.ndarray:
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    return np.stack([x, y, z], axis=-1)


def _field(case: Case, field: Field, wrong: Wrong, points: np.ndarray) -> np.ndarray:
    """Gy at points (..., 3) relative to the isocentre."""
    points = points - np.asarray(wrong.shift)
    if wrong.flipped:
        points = points * (-1.0, 1.0, 1.0)
    gantry = field.gantry if wrong.gantry is None else wrong.gantry
    couch = field.couch if wrong.couch is None else wrong.couch
    axes = travel(gantry, couch)
    u, v, w = (points @ axes[:, i] for i in range(3))
    u = -u if wrong.spots_flipped else u
    along = -w - wrong.deeper  # w points to the source
    if wrong.ct_of is not None:  # as much water in front of it as before, but the body begins elsewhere
        along = along + _surface(case.patient, axes, u, v) - _surface(wrong.ct_of, axes, u, v)
    table = _table(wrong.dose_of or case.patient, field.gantry, field.couch)  # planned for this angle
    middle = (np.asarray(table.shape) - 1) / 2
    near = np.all(np.abs((u, v, along)) <= STEP * middle.reshape(3, 1, 1, 1), axis=0)
    where = np.stack([u[near], v[near], along[near]]) / STEP + middle[:, None]
    gy: np.ndarray = np.zeros(u.shape)
    gy[near] = case.gy * field.share * map_coordinates(table, where, order=1)
    return gy


def _surface(patient: Patient, axes: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """How far from the isocentre, along the beam, each ray (u, v) enters the body (negative: before it)."""
    side = u[..., None] * axes[:, 0] + v[..., None] * axes[:, 1] - np.array([*patient.middle, 0.0])
    way = -axes[:, 2]
    scaled, turned = side[..., :2] / patient.half, way[:2] / patient.half
    a, b, c = turned @ turned, scaled @ turned, (scaled**2).sum(axis=-1) - 1
    return np.asarray((-b - np.sqrt(np.maximum(b * b - a * c, 0))) / a)


@cache
def _table(patient: Patient, gantry: float, couch: float) -> np.ndarray:
    """Dose [u, v, along] of the field that fits the target, 1 in the target; the isocentre is its middle."""
    side, axis = (
        STEP * np.arange(-int(half / STEP), int(half / STEP) + 1, dtype=np.float32)
        for half in (patient.wide, 1.3 * patient.reach)
    )
    u, v, along = np.meshgrid(side, side, axis, indexing="ij", sparse=True)
    axes = travel(gantry, couch).astype(np.float32)
    hit = np.zeros((side.size, side.size, axis.size), dtype=bool)
    for part in patient.target:
        turned = [
            (u * axes[i, 0] + v * axes[i, 1] - along * axes[i, 2] - part.centre[i]) / part.half[i] for i in range(3)
        ]
        hit |= turned[0] ** 2 + turned[1] ** 2 + turned[2] ** 2 <= 1
    seen = hit.any(axis=2)
    near = axis[hit.argmax(axis=2)]
    far = axis[axis.size - 1 - hit[:, :, ::-1].argmax(axis=2)]
    away, index = distance_transform_edt(~seen, sampling=STEP, return_indices=True)
    near, far = near[tuple(index)] - MARGIN, far[tuple(index)] + MARGIN
    raw = _sobp(along, near[:, :, None], far[:, :, None]) * (away <= MARGIN)[:, :, None]
    return np.asarray(gaussian_filter(raw, (SPOT / STEP, SPOT / STEP, STRAGGLING / STEP), mode="nearest", truncate=3))


def _sobp(along: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """A spread-out Bragg peak that is 1 from `near` to `far`, before straggling."""
    r = np.cbrt(np.maximum(near - along, 0) / (far - near))
    root = np.sqrt(3)
    entry = (
        0.75
        + root / (4 * np.pi) * np.log((1 + r) ** 2 / (1 - r + r * r))
        - 3 / (2 * np.pi) * np.arctan((2 * r - 1) / root)
    )
    return np.where(along > far, 0.0, entry)


SMALL = Case(
    "a 3 cm target, four fields",
    Patient(
        (Ellipsoid((0, 0, 0), (14, 13, 15)), Ellipsoid((5, -6, 4), (10, 10, 10))),
        (6.0, 14.0),
        (74.0, 92.0),
        100.0,
        42.0,
    ),
    (Field(1, 30.0, 0.0, 0.25), Field(2, 100.0, 0.0, 0.25), Field(3, 260.0, 0.0, 0.25), Field(4, 330.0, 0.0, 0.25)),
    (13.5, -131.0, 36.0),
    10.0,
    5,
    0.02,
)
LARGE = Case(
    "an 8 cm target, two fields",
    Patient(
        (Ellipsoid((0, 0, 0), (38, 34, 40)), Ellipsoid((14, -16, 10), (26, 24, 26))),
        (8.0, 16.0),
        (110.0, 95.0),
        112.0,
        64.0,
    ),
    (Field(1, 0.0, 0.0, 0.5), Field(2, 100.0, 10.0, 0.5)),
    (-22.0, 48.0, -310.0),
    60.0,
    30,
    0.015,
)
