"""Stopping power of protons relative to water, and the values that structures override. Pure.

Bethe's formula without shell, density and Barkas terms, at 100 MeV: with rho the electron density relative to water,

    ratio = rho * (ln(2 m c^2 b^2 g^2 / I) - b^2) / (ln(2 m c^2 b^2 g^2 / I_water) - b^2)

(Schneider et al., Phys. Med. Biol. 41 (1996) 111). I of water is 75.3 eV unless the site declares another; with 78 eV
(ICRU 90) ratios are 0.45 % higher.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

Ratio = Callable[["NDArray[np.float32]"], "Doubles"]
"""From HU to an engine's stopping power relative to water at 100 MeV; NaN where it is not known."""

ENERGY = 100.0  # MeV
WATER_EV = 75.3  # mean excitation energy of water
SAME = 0.01  # of the target: two ratios that differ by less are the same
_NOTHING = 0.001  # and so are two that differ by less than this: 1 mm of water in a metre
_PROTON, _ELECTRON = 938.272, 0.510999  # MeV
_IRRELEVANT = frozenset({"EFFECTIVE_Z", "EFF_Z_PER_A"})  # alone they do not determine the stopping power of protons


def bethe_ratio(electron_density: float, excitation_ev: float, water_ev: float = WATER_EV) -> float:
    """Stopping power relative to water at 100 MeV; `electron_density` is relative to water."""
    return electron_density * _logarithm(excitation_ev) / _logarithm(water_ev)


def same_ratio(ratio: Doubles | float, target: float) -> NDArray[np.bool_]:
    """Whether ratios are the target to 1 %; False where either is unknown (NaN)."""
    return np.asarray(np.abs(ratio - target) <= max(SAME * target, _NOTHING))


def target_ratio(properties: tuple[tuple[str, float], ...], water_ev: float = WATER_EV) -> float | None:
    """The stopping ratio that ROIPhysicalProperty values mean: None if they change nothing, NaN if it is unknown.

    The first of: REL_STOP_RATIO; REL_ELEC_DENSITY with MEAN_EXCI_ENERGY; REL_ELEC_DENSITY; REL_MASS_DENSITY.
    """
    values = dict(properties)
    if any(values[name] != value for name, value in properties):  # duplicate, or not a number
        return math.nan
    electrons, excitation = values.get("REL_ELEC_DENSITY"), values.get("MEAN_EXCI_ENERGY")
    if (value := values.get("REL_STOP_RATIO")) is not None:
        found = value
    elif electrons is not None and excitation is not None:
        found = bethe_ratio(electrons, excitation, water_ev) if excitation > 0 else math.nan
    elif electrons is not None:
        found = electrons
    elif (value := values.get("REL_MASS_DENSITY")) is not None:
        found = value
    else:
        return None if values.keys() <= _IRRELEVANT else math.nan
    return found if 0 <= found < math.inf else math.nan


def assumption(properties: tuple[tuple[str, float], ...]) -> str:
    """What `target_ratio` assumes for lack of better properties; "" if nothing."""
    names = {name for name, _ in properties}
    if "REL_STOP_RATIO" in names or {"REL_ELEC_DENSITY", "MEAN_EXCI_ENERGY"} <= names:
        return ""
    if "REL_ELEC_DENSITY" in names:
        return "its electron density is taken as stopping power, with the mean excitation energy of water"
    return "its mass density is taken as stopping power" if "REL_MASS_DENSITY" in names else ""


def unknown_ratio(hu: NDArray[np.float32]) -> Doubles:
    """The ratio of an engine with an unknown conversion: NaN."""
    return np.full(hu.shape, np.nan)


def range_in_water(energy: float) -> float:
    """The range in mm of protons of this energy (MeV) in water (Bortfeld, Med. Phys. 24 (1997) 2024)."""
    return float(0.022 * energy**1.77)


def _logarithm(excitation_ev: float) -> float:
    gamma = 1 + ENERGY / _PROTON
    momentum = gamma**2 - 1  # beta^2 gamma^2
    beta = momentum / gamma**2
    return math.log(2e6 * _ELECTRON * momentum / excitation_ev) - beta
