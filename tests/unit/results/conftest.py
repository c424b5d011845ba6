"""Synthetic proton beams in water: a spread-out Bragg peak with a sharp distal edge and soft lateral edges."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import erf

from mqi_communicator.dicom.records import Beam, Biology, Dose, DoseType, Extent, Grid, IonPlan, Layer, Medium
from mqi_communicator.results.gamma import gamma_index
from mqi_communicator.results.options import DoseConvention, GammaOptions

TO_MEDIUM = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
PLANNED_GRID = Grid((36, 50, 52), (-76.0, -75.0, -51.0), (3.0, 3.0, 3.0))
COMPUTED_GRID = Grid((48, 64, 66), (-82.0, -81.0, -60.0), (2.5, 2.5, 2.5))
ISOCENTRE = (2.0, -4.0, 3.0)
DEPTH = 60.0  # mm of water in front of the isocentre, for every beam


@dataclass(frozen=True)
class Field:
    """One field: its direction, and its errors."""

    number: int
    gantry: float
    couch: float = 0.0
    weight: float = 1.0
    sides: tuple[float, float] = (34.0, 26.0)  # mm, full widths across the beam


FIELDS = (
    Field(1, 0.0, weight=1.0),
    Field(2, 90.0, weight=0.7, sides=(30.0, 30.0)),
    Field(3, 270.0, weight=0.9, sides=(34.0, 30.0)),
    Field(4, 40.0, couch=15.0, weight=0.6),
)


def travel(gantry, couch):
    """IEC 61217 matrices, independent of the product's formula: gantry about y_f, couch about z_f, then DICOM."""
    g, c = np.radians(gantry), np.radians(couch)
    gantry_to_fixed = np.array([[np.cos(g), 0, np.sin(g)], [0, 1, 0], [-np.sin(g), 0, np.cos(g)]])
    fixed_to_couch = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    couch_to_dicom = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # HFS: x, -z, y
    return couch_to_dicom @ fixed_to_couch @ gantry_to_fixed


def _depth_dose():
    """SOBP of 30 mm centred at DEPTH: seven pristine peaks, flat to a few percent. (depths, dose)"""
    z = np.arange(-40, 200, 0.25)
    blur = np.exp(-0.5 * (np.arange(-12, 12.01, 0.25) / 2.2) ** 2)
    blur /= blur.sum()
    ends = DEPTH + np.linspace(-12, 15, 8)
    peaks = []
    for end in ends:
        raw = np.where((z > -30) & (z < end), np.maximum(end - z, 0.12) ** -0.435, 0)
        peaks.append(np.convolve(raw, blur, mode="same"))
    peaks = np.array(peaks)
    flat = (z >= DEPTH - 13) & (z <= DEPTH + 13)
    weights = np.maximum(np.linalg.lstsq(peaks[:, flat].T, np.ones(flat.sum()), rcond=None)[0], 0)
    return z, weights @ peaks


_Z, _PDD = _depth_dose()


def beam_dose(
    field, grid, *, shift=(0.0, 0.0, 0.0), deeper=0.0, scale=1.0, noise=0.0, seed=1, mirrored=False, dose_type=TO_MEDIUM
):
    """Dose in Gy of one field on a grid."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    points = np.stack([x, y, z], axis=-1) - np.asarray(ISOCENTRE) - np.asarray(shift)
    turn = travel(field.gantry, field.couch)
    u, v, w = (points @ turn[:, i] for i in range(3))
    u = -u if mirrored else u
    depth = DEPTH - w - deeper  # w points to the source
    lateral = 1.0
    for position, width, centre in ((u, field.sides[0], 5.0), (v, field.sides[1], -3.0)):
        a, b = (position - centre + width / 2) / 6.0, (position - centre - width / 2) / 6.0
        lateral = lateral * 0.5 * (erf(a) - erf(b))
    lateral = lateral * (1 + 0.25 * np.tanh(u / 8))  # no field looks like its mirror image
    gy = 2.0 * scale * field.weight * np.interp(depth, _Z, _PDD) * lateral
    if noise:
        rough = np.random.default_rng(seed + field.number).normal(size=gy.shape)
        gy = gy + noise * np.sqrt(gy * gy.max()) * rough
    return Dose(grid, np.maximum(gy, 0).astype(np.float32), dose_type, field.number, uncertainty=noise or 0.005)


def plan_of(fields=FIELDS, *, fractions=5):
    """The RT Ion Plan of these fields."""
    layer = Layer(120.0, np.zeros((1, 2)), np.ones(1))
    beams = tuple(
        Beam(f.number, f"F{f.number}", "MQI-TEST", f.gantry, f.couch, ISOCENTRE, 100.0, 100.0, (layer,)) for f in fields
    )
    return IonPlan("1.2.3", "1.2.4", "1.2.5", "label", "ACME", fractions, beams)


def total(doses):
    """The dose of the plan."""
    return replace(doses[0], gy=sum(d.gy for d in doses), beam_number=None)


def planned_doses(fields=FIELDS, *, per_beam=True, **wrong):
    """What the planning system exported."""
    beams = [beam_dose(field, PLANNED_GRID, **wrong) for field in fields]
    return [total(beams), *(beams if per_beam else [])]


def computed_doses(fields=FIELDS, **wrong):
    """What the engine computed: another grid, 1 % of noise."""
    return [beam_dose(field, COMPUTED_GRID, **({"noise": 0.01} | wrong)) for field in fields]


CONVENTIONS = {
    "Acme": DoseConvention(medium=Medium.MEDIUM, biology=Biology.PHYSICAL, rbe_factor=1.1, extent=Extent.COURSE)
}


@pytest.fixture(scope="session", autouse=True)
def _gamma_is_compiled():
    """numba reads /proc/cpuinfo when it is imported: before purity is watched."""
    small = Grid((4, 4, 4), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0))
    dose = Dose(small, np.ones(small.shape, dtype=np.float32), TO_MEDIUM, None)
    gamma_index(dose, dose, GammaOptions())


@pytest.fixture(scope="session")
def beams():
    """This module: the fields, the grids and the builders above."""
    return sys.modules[__name__]
