"""The stopping power relative to water at 100 MeV that MCsquare assigns to a Hounsfield unit.

The density of the scanner's curve (linear between its rows), times the mass stopping power of the material that
the curve maps to (that of the last row at or below), relative to the material Water. The latter are taken from
the engine's own tables, Materials/*/G4_Stop_Pow.dat, which it computes with. Measured with it: R80 of 150 MeV is 1.7 %
shorter in HU 0 of the curve that comes with it (1.0171 here) than in Water.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dose.mcsquare.basis import Curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_FIRST = 13  # label of Air; lower labels are elements, which no curve maps to
_FACTORS = (  # mass stopping power at 100 MeV relative to Water, by label
    0.8881,
    0.9980,
    1.0283,
    1.0307,
    1.0000,
    1.0143,
    1.0031,
    1.0103,
    1.0111,
    1.0142,  # 13 to 22
    1.0031,
    1.0109,
    0.9994,
    1.0066,
    0.9953,
    1.0083,
    1.0075,
    0.9955,
    1.0064,
    1.0053,  # 23 to 32
    1.0062,
    0.9934,
    0.9979,
    0.9947,
    0.9800,
    0.8861,
    0.8881,
    1.0060,
    1.0325,
    1.0269,  # 33 to 42
    1.0211,
    1.0171,
    1.0133,
    1.0067,
    0.9970,
    0.9972,
    0.9869,
    0.9753,
    0.9643,
    0.9566,  # 43 to 52
    0.9481,
    0.9399,
    0.9315,
    0.9249,
    0.9195,
    0.9129,
    0.9078,
    0.9027,
    0.8976,
    0.8942,  # 53 to 62
    0.9034,
    0.9876,
    0.9877,
    0.9572,
    0.9331,
    0.9128,
    0.9544,
    0.9844,
    0.8327,
    0.9853,  # 63 to 72
    0.7067,
    0.6733,
    0.9470,
    0.9492,
    0.4766,
    0.6132,
    0.7992,
    0.9548,
    1.0700,
    0.6613,  # 73 to 82
)


def stopping_ratio(curve: Curve, hu: NDArray[np.float32]) -> Doubles:
    """Of each HU; NaN outside the curve and for a material that is not part of the engine."""
    at, density = _rows(curve.density)
    begins, labels = _rows(curve.material)
    factors = np.array([_factor(label) for label in labels])
    row = np.searchsorted(begins, hu, side="right") - 1
    found = np.interp(hu, at, density, left=np.nan, right=np.nan) * factors[np.maximum(row, 0)]
    return np.asarray(np.where(row >= 0, found, np.nan))


def _factor(label: float) -> float:
    known = range(_FIRST, _FIRST + len(_FACTORS))
    return _FACTORS[int(label) - _FIRST] if label in known else float("nan")


def _rows(text: bytes) -> tuple[Doubles, Doubles]:
    """The two columns of one of the curve's files."""
    lines = [line.split("#", 1)[0].split() for line in text.decode("utf-8", errors="replace").splitlines()]
    table = np.array([[float(word) for word in words[:2]] for words in lines if words])
    return table[:, 0], table[:, 1]
