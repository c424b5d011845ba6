"""The stopping power relative to water at 100 MeV that the default calibration of upstream moqui assigns to a HU.

Densities of Schneider et al., Phys. Med. Biol. 45 (2000) 459, times a correction per HU of its own, and from density to
stopping power the fit of Fippel and Soukup, Med. Phys. 31 (2004) 2263 (mqi_patient_materials.hpp of
MGHPhysicsResearch/moquimc). The corrections are here at the ends of the intervals in which they are linear to better
than 0.0005; below -120 HU, where the corrected density is linear, that density instead. 0 HU is 0.988 g/cm3, as was
measured with the program. Above 2000 HU the ratio is not known here. Public forks have other conversions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dose.stopping import ENERGY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_AIR_PIECES = (  # first and last HU, density in g/cm3 there; HU below are taken as -1000
    (-1000, -951, 0.011316, 0.066210),
    (-950, -121, 0.059461, 0.879635),
)
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
    (80, 100, 1.003, 0.001169, 0.97464, 0.9633),
    (101, 119, 1.017, 0.000592, 1.00233, 1.00085),
    (120, 199, 1.017, 0.000592, 1.00035, 0.9942),
    (200, 299, 1.017, 0.000592, 1.00458, 0.99749),
    (300, 399, 1.017, 0.000592, 1.00929, 1.00279),
    (400, 499, 1.017, 0.000592, 1.01335, 1.00738),
    (500, 599, 1.017, 0.000592, 1.01627, 1.01076),
    (600, 699, 1.017, 0.000592, 1.01979, 1.01469),
    (700, 799, 1.017, 0.000592, 1.02359, 1.01886),
    (800, 899, 1.017, 0.000592, 1.02794, 1.02353),
    (900, 999, 1.017, 0.000592, 1.03085, 1.02673),
    (1000, 1099, 1.017, 0.000592, 1.03276, 1.02891),
    (1100, 1199, 1.017, 0.000592, 1.03634, 1.03273),
    (1200, 1299, 1.017, 0.000592, 1.03851, 1.03512),
    (1300, 1399, 1.017, 0.000592, 1.04093, 1.03774),
    (1400, 1499, 1.017, 0.000592, 1.04358, 1.04058),
    (1500, 2000, 1.017, 0.000592, 1.04455, 1.03177),
)
_LUNG, _TISSUE = 0.26, 0.9  # g/cm3: between them the fit is interpolated
_LUNG_FACTOR = 0.9925
_THIN, _THIN_FACTOR = 0.0012, 0.8815  # air: between it and lung the factor is interpolated
_HEAVIEST, _CLOSE = 4.0, 1e-6  # g/cm3: of a range shifter, and a difference that does not matter


def stopping_ratio(hu: NDArray[np.float32]) -> Doubles:
    """The ratio of each HU, rounded as it is sent; NaN where it is unknown."""
    whole = np.maximum(np.rint(hu), _AIR_PIECES[0][0])
    density = np.full(whole.shape, np.nan)
    for first, last, low, high in _AIR_PIECES:
        here = (whole >= first) & (whole <= last)
        density[here] = low + (high - low) * (whole[here] - first) / (last - first)
    for first, last, at_zero, slope, low, high in _PIECES:
        here = (whole >= first) & (whole <= last)
        correction = low + (high - low) * (whole[here] - first) / (last - first)
        density[here] = (at_zero + slope * whole[here]) * correction
    return density * _factor(density)


def _factor(density: Doubles) -> Doubles:
    """Mass stopping power relative to water."""
    fit = 1.0123 - 3.386e-5 * ENERGY + 0.291 * (1 + ENERGY**-0.3421) * (density**-0.7 - 1)
    thin = np.clip((density - _THIN) / (_LUNG - _THIN), 0, 1)
    share = np.clip((density - _LUNG) / (_TISSUE - _LUNG), 0, 1)
    low = _THIN_FACTOR + thin * (_LUNG_FACTOR - _THIN_FACTOR)
    return np.asarray(low + share * (fit - low))


def density_with(ratio: float) -> float:
    """The density in g/cm3, above that of tissue, that has this stopping power relative to water, by bisection."""
    low, high = _TISSUE, _HEAVIEST
    while high - low > _CLOSE:
        middle = (low + high) / 2
        if middle * float(_factor(np.array(middle))) < ratio:
            low = middle
        else:
            high = middle
    return (low + high) / 2
