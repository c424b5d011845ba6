"""From the engine's image to a dose in Gy on the CT's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Beam, Grid
from mqi_communicator.dose.mcsquare import coordinates
from mqi_communicator.dose.mcsquare.basis import BeamModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GY_PER_EV_PER_G = 1.602176634e-16  # J/eV (exact, SI 2019) times 1000 g/kg; the engine scores eV/g per proton
_NEAR = 1e-3  # mm; the engine prints six decimals
_FIXED = {"NDims": "3", "ElementType": "MET_FLOAT", "ElementByteOrderMSB": "False", "ElementDataFile": "Dose.raw"}


def delivered_protons(beam: Beam, model: BeamModel) -> float:
    """Protons of this beam in one fraction."""
    return sum(
        float(layer.weights.sum()) * beam.mu_per_weight * model.protons_per_mu(layer.energy) for layer in beam.layers
    )


def dose_gy(header: bytes, raw: bytes, grid: Grid, protons: float) -> NDArray[np.float32]:
    """The dose [z, y, x] in Gy for this many protons. Permanent if it is of another grid, not finite, or zero."""
    check_header(header, grid)
    nz, ny, nx = grid.shape
    if len(raw) != 4 * nx * ny * nz:
        raise Permanent(f"Dose.raw has {len(raw)} bytes, expected {4 * nx * ny * nz} for {nx} x {ny} x {nz} voxels")
    values = np.frombuffer(raw, dtype="<f4").reshape(grid.shape)
    if not np.isfinite(values).all():
        raise Permanent("the engine's dose has voxels that are not finite (NaN or infinite)")
    if values.min() < 0:
        raise Permanent(f"the engine's dose is negative somewhere ({values.min():g} eV/g)")
    if values.max() <= 0:
        raise Permanent(
            "the engine's dose is zero everywhere",
            "check the isocentre and the CT; a damaged beam model also causes this",
        )
    gy = np.empty(grid.shape, dtype=np.float32)
    np.multiply(coordinates.turned(values), np.float32(protons * _GY_PER_EV_PER_G), out=gy)
    return gy


def check_header(header: bytes, grid: Grid) -> None:
    """Verify that the header is that of a float image on this grid. Permanent, with found and expected, if not."""
    fields = _keys(header)
    for key, expected in _FIXED.items():
        if fields.get(key) != expected:
            raise Permanent(f"Dose.mhd: {key} is {fields.get(key)!r}, expected {expected!r}")
    _same("DimSize", fields, tuple(float(n) for n in reversed(grid.shape)), 0.0)
    _same("ElementSpacing", fields, grid.spacing, _NEAR)
    _same("Offset", fields, coordinates.offset(grid), _NEAR)


def _keys(header: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in header.decode("ascii", errors="replace").splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and (not equals or key in fields):
            raise Permanent(f"Dose.mhd: the line {line!r} is not of the form `key = value`, or repeats a key")
        if key:
            fields[key] = value
    return fields


def _same(key: str, fields: dict[str, str], expected: tuple[float, ...], tolerance: float) -> None:
    try:
        found = tuple(float(word) for word in fields.get(key, "").split())
    except ValueError:
        found = ()
    close = len(found) == len(expected) and all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True))
    if not close:
        raise Permanent(f"Dose.mhd: {key} is {fields.get(key)!r}, expected {' '.join(f'{n:g}' for n in expected)}")
