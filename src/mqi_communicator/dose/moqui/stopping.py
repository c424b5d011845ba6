"""The stopping power relative to water at 100 MeV that moqui's default calibration assigns to a Hounsfield unit.

The conversion of upstream moqui: densities of Schneider et al., Phys. Med. Biol. 45 (2000) 459, times a correction per
HU of its own, and from density to stopping power the fit of Fippel and Soukup, Med. Phys. 31 (2004) 2263. Of the
corrections only those from -120 to 100 HU are here, at the ends of the intervals in which they are linear to better
than 0.0005: elsewhere the ratio is not known. 0 HU is 0.988 g/cm3, as was measured with the program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dose.stopping import ENERGY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_PIECES = (  # first and last HU, density at 0 HU in g/cm3 and its slope, correction at the first and at the last HU
    (-120, -99, 1.030910665, 0.001029700665, 0.94514, 0.94492),
    (-98, -89, 1.018, 0.000893, 0.94490, 0.94481),
    (-88, -84, 1.018, 0.000893, 0.94569, 0.94619),
    (-83, -54, 1.018, 0.000893, 0.95156, 0.95512),
    (-53, -24, 1.018, 0.000893, 0.96074, 0.96413),
    (-23, 6, 1.018, 0.000893, 0.96818, 0.97146),
    (7, 14, 1.018, 0.000893, 0.97526, 0.97608),
    (15, 17, 1.03, 0.0, 0.97752, 0.97944),
    (18, 22, 1.03, 0.0, 0.98701, 0.99089),
    (23, 40, 1.003, 0.001169, 0.99197, 0.98936),
    (41, 79, 1.003, 0.001169, 0.98874, 0.96596),
    (80, 100, 1.003, 0.001169, 0.97464, 0.96385),
)
_LUNG, _TISSUE = 0.26, 0.9  # g/cm3: between them the fit is interpolated
_LUNG_FACTOR = 0.9925


def stopping_ratio(hu: NDArray[np.float32]) -> Doubles:
    """The ratio of each HU, rounded as it is sent; NaN where it is unknown."""
    whole = np.rint(hu)
    density = np.full(whole.shape, np.nan)
    for first, last, at_zero, slope, low, high in _PIECES:
        here = (whole >= first) & (whole <= last)
        correction = low + (high - low) * (whole[here] - first) / (last - first)
        density[here] = (at_zero + slope * whole[here]) * correction
    return density * _factor(density)


def _factor(density: Doubles) -> Doubles:
    """Mass stopping power relative to water, for densities above that of lung."""
    fit = 1.0123 - 3.386e-5 * ENERGY + 0.291 * (1 + ENERGY**-0.3421) * (density**-0.7 - 1)
    share = np.clip((density - _LUNG) / (_TISSUE - _LUNG), 0, 1)
    return np.asarray(_LUNG_FACTOR + share * (fit - _LUNG_FACTOR))
