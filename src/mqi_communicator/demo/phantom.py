"""The sample patient: a synthetic trunk that looks different from every side.

Nothing in it is symmetric, so a wrong, mirrored or swapped axis changes the dose. All lengths are in mm in
the DICOM patient system (x to the left, y to the back, z to the head), the patient lies head first, supine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

AIR_HU = -1000.0
TARGET_CENTRE = (10.0, -128.0, 38.0)
TARGET_RADIUS = 15.0


@dataclass(frozen=True, slots=True)
class Solid:
    """An ellipsoid, an elliptic cylinder along z (no half length in z) or a box, of one Hounsfield value."""

    name: str
    hu: float
    stopping_power: float  # relative to water; only for placing spots, the engine has its own conversion curve
    centre: tuple[float, float, float]
    half: tuple[float, float, float | None]
    box: bool = False

    def holds(self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether points are inside; the arrays broadcast."""
        pairs = [
            (p - c) / h for p, c, h in zip((x, y, z), self.centre, self.half, strict=True) if h is not None
        ]  # fractions of the half axes
        if self.box:
            inside = np.ones(np.broadcast(x, y, z).shape, dtype=bool)
            for pair in pairs:
                inside &= np.abs(pair) <= 1.0
            return inside
        return np.broadcast_to(sum(pair**2 for pair in pairs) <= 1.0, np.broadcast(x, y, z).shape)


BODY = Solid("External", 0.0, 1.0, (12.0, -140.0, 0.0), (104.0, 84.0, None))
FAT = Solid("Fat", -100.0, 0.95, (-80.0, -96.0, 30.0), (36.0, 44.0, 200.0), box=True)
BONE = Solid("Bone", 700.0, 1.3, (-12.0, -199.0, 20.0), (22.0, 6.0, 32.0), box=True)
LUNG = Solid("Lung", -750.0, 0.27, (76.0, -122.0, 52.0), (6.0, 22.0, 15.0))
POCKET = Solid("Pocket", -700.0, 0.31, (28.0, -86.0, 21.0), (13.0, 8.0, 10.0))
TARGET = Solid("Target", 35.0, 1.03, TARGET_CENTRE, (TARGET_RADIUS, TARGET_RADIUS, TARGET_RADIUS))

SOLIDS = (BODY, FAT, BONE, LUNG, POCKET, TARGET)  # later ones are inside earlier ones


@dataclass(frozen=True, slots=True)
class Beside:
    """Something in the CT outside the body, which the planning system computes otherwise than it was scanned."""

    solid: Solid  # its `hu` is that of the planned dose: AIR_HU if the planning system computes nothing there
    scanned: float  # HU in the CT
    kind: str = ""  # RTROIInterpretedType; "": no structure
    properties: tuple[tuple[str, float], ...] = ()  # of the structure, as planning systems write them


COUCH = Beside(
    Solid("Couch", 265.0, 1.16, (12.0, -42.0, 0.0), (140.0, 10.0, None), box=True),  # PMMA
    scanned=-600.0,
    kind="SUPPORT",
    properties=(
        ("REL_MASS_DENSITY", 1.19),
        ("REL_ELEC_DENSITY", 1.156494),
        ("EFFECTIVE_Z", 5.85188),
        ("EFF_Z_PER_A", 0.5393733),
        ("MEAN_EXCI_ENERGY", 74.0),
    ),
)
BLANKET = Beside(Solid("Blanket", AIR_HU, 0.0, (127.0, -125.0, 0.0), (2.0, 60.0, None), box=True), -700.0)


def solid_at(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    values: tuple[float, ...],
    outside: float,
    beside: tuple[tuple[Solid, float], ...] = (),
) -> NDArray[np.float64]:
    """Return one value per point, that of the innermost solid. Outside the body: that of the solid of `beside` which
    is there, and `outside` in air."""
    found = np.full(np.broadcast(x, y, z).shape, outside)
    body = BODY.holds(x, y, z)
    for solid, value in zip(SOLIDS, values, strict=True):
        found[solid.holds(x, y, z) & body] = value
    for solid, value in beside:
        found[solid.holds(x, y, z) & ~body] = value
    return found


def hounsfield(grid: Grid, beside: tuple[Beside, ...] = (), *, scanned: bool = False) -> NDArray[np.int16]:
    """The phantom sampled at the voxel centres of a grid: [z, y, x], in HU.

    `scanned`: what is beside the body has its HU in the CT, not that of the planned dose.
    """
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij", sparse=True)
    others = tuple((one.solid, one.scanned if scanned else one.solid.hu) for one in beside)
    return solid_at(x, y, z, tuple(s.hu for s in SOLIDS), AIR_HU, others).astype(np.int16)


def in_body(grid: Grid) -> NDArray[np.bool_]:
    """Return which voxel centres are inside the body."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij", sparse=True)
    return BODY.holds(x, y, z)


def outline(solid: Solid, z: float, points: int = 72) -> list[tuple[float, float]]:
    """The solid's closed outline on one slice, as (x, y) in mm to 0.01 mm; empty where the slice misses it."""
    import math

    (cx, cy, cz), (hx, hy, hz) = solid.centre, solid.half
    if hz is not None and abs(z - cz) >= hz:
        return []
    if solid.box:
        return [(cx - hx, cy - hy), (cx + hx, cy - hy), (cx + hx, cy + hy), (cx - hx, cy + hy)]
    shrink = 1.0 if hz is None else math.sqrt(1.0 - ((z - cz) / hz) ** 2)
    turns = [2 * math.pi * i / points for i in range(points)]
    return [(round(cx + shrink * hx * math.cos(t), 2), round(cy + shrink * hy * math.sin(t), 2)) for t in turns]
