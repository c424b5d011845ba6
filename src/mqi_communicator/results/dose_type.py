"""Converts doses to a common dose type with declared factors only: fractions and a constant RBE factor. Pure.

Dose to medium and dose to water cannot be converted here: that needs the stopping powers of each voxel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent
from mqi_communicator.results.options import DoseConvention
from mqi_communicator.results.verdict import Check, CheckOutcome


def convention_for(manufacturer: str, conventions: Mapping[str, DoseConvention]) -> DoseConvention | None:
    """The configured convention of a planning system; upper and lower case are equal."""
    wanted = manufacturer.strip().casefold()
    return next((c for name, c in conventions.items() if name.strip().casefold() == wanted), None)


def converted(dose: Dose, target: DoseType, *, fractions: int, rbe_factor: float) -> tuple[Dose, tuple[str, ...]]:
    """The dose with the extent and biology of `target`, and the applied factors as text.

    The medium is not converted: see `incompatibility`.
    """
    factor, conversions = factor_between(dose.dose_type, target, fractions=fractions, rbe_factor=rbe_factor)
    if not conversions:
        return dose, ()
    dose_type = replace(target, medium=dose.dose_type.medium)
    return replace(dose, gy=dose.gy * dose.gy.dtype.type(factor), dose_type=dose_type), conversions


def factor_between(
    own: DoseType, target: DoseType, *, fractions: int, rbe_factor: float
) -> tuple[float, tuple[str, ...]]:
    """The factor from one dose type to another with the extent and biology of `target`, and its parts as text."""
    factor, conversions = 1.0, []
    if own.extent is not target.extent:
        to_course = target.extent is Extent.COURSE
        factor *= fractions if to_course else 1 / fractions
        conversions.append(f"{'×' if to_course else '÷'} {fractions} (fractions)")
    if own.biology is not target.biology:
        to_rbe = target.biology is Biology.RBE
        factor *= rbe_factor if to_rbe else 1 / rbe_factor
        conversions.append(f"{'×' if to_rbe else '÷'} {rbe_factor:g} (RBE)")
    return factor, tuple(conversions)


def incompatibility(planned: DoseType, computed: DoseType) -> str:
    """Why two doses cannot be compared; empty if they can."""
    if planned.medium is computed.medium:
        return ""
    return (
        f"the planned dose is to {planned.medium} and the computed dose to {computed.medium}: set the engine's dose_to "
        f"to {planned.medium}, or correct `medium` of this planning system in dose_conventions"
    )


def unknown_convention(manufacturer: str) -> str:
    """Why there is no verdict for a planning system without a convention, and what to configure."""
    return (
        f"no dose convention for the planning system {manufacturer.strip()!r}: add it to dose_conventions "
        "(medium, biology, rbe_factor, extent)"
    )


def dose_type_check(target: DoseType, conversions: tuple[str, ...], obstacles: tuple[str, ...]) -> Check:
    """Record the common dose type, and how the computed dose was converted to it."""
    done = f"computed dose {' '.join(conversions)}" if conversions else "no conversion"
    what = f"dose to {target.medium}, {target.biology}, one {target.extent}: {done}"
    if target.extent is Extent.COURSE:
        what = what.replace("one course", "whole course")
    return Check(
        name="dose_meaning",
        scope="plan",
        outcome=CheckOutcome.NOT_JUDGED if obstacles else CheckOutcome.PASS,
        value=None,
        unit="",
        limit="both doses have the same declared dose type",
        points=None,
        uncertainty=None,
        note="; ".join(obstacles) or what,
    )
