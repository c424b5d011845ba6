"""Checks of the case itself: slices and extent of the CT, ignored doses, beam numbers, paintings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.records import CTVolume, Dose, IonPlan
from mqi_communicator.results.sources import DoseSource, source

_CUT = 10.0  # % of the planned maximum: more dose than this in the first or last CT slice: the CT is too short


def case_cautions(
    plan: IonPlan, ct: CTVolume, planned: Sequence[Dose | DoseSource], set_aside: Sequence[str] = ()
) -> tuple[Caution, ...]:
    """These checks. `set_aside`: for each ignored RTDOSE file, why it does not belong to this plan."""
    return (
        *_ct_slices(ct),
        _ct_ends(ct, planned),
        *_set_aside(set_aside),
        *_numbers(plan),
        *_paintings(plan),
    )


def _ct_slices(ct: CTVolume) -> Iterator[Caution]:
    """What the reader changed in the CT."""
    for note in ct.notes:
        yield Caution("ct_slices", "plan", note, review=False)


def _ct_ends(ct: CTVolume, planned: Sequence[Dose | DoseSource]) -> Caution:
    """Planned dose in the first or last CT slice, beyond which the computed dose is cut off."""
    low = ct.grid.origin[2]
    high = low + ct.grid.spacing[2] * (ct.grid.shape[0] - 1)
    slices = f"the CT has {ct.grid.shape[0]} slices, from z = {low:g} to {high:g} mm"
    worst = max((_share_at_ends(source(dose).read(), low, high) for dose in planned), default=None)
    limit = f"planned dose < {_CUT:g} % of its maximum in the first and last CT slice"
    if worst is None:
        note = f"{slices}; there is no planned dose to compare them with"
        return Caution("ct_ends", "plan", note, review=False, limit=limit)
    note = f"{slices}; the planned dose in the first or last of them is up to {worst:.1f} % of its maximum"
    if worst >= _CUT:
        note += ": the CT ends within the treated region"
    return Caution("ct_ends", "plan", note, review=worst >= _CUT, value=worst, unit="%", limit=limit)


def _share_at_ends(dose: Dose, low: float, high: float) -> float:
    return max(_share_at(dose, level) for level in (low, high))


def _share_at(dose: Dose, z: float) -> float:
    """The highest dose in the plane at z (mm), or beyond it, in % of the maximum of this dose."""
    levels = dose.grid.axes()[0]
    top = float(np.nanmax(dose.gy, initial=0.0))
    nearest = int(np.abs(levels - z).argmin())
    middle = (levels[0] + levels[-1]) / 2
    beyond = slice(nearest, None) if z > middle else slice(None, nearest + 1)
    if top <= 0 or not levels[0] - dose.grid.spacing[2] <= z <= levels[-1] + dose.grid.spacing[2]:
        return 0.0
    return 100 * float(np.nanmax(dose.gy[beyond], initial=0.0)) / top


def _set_aside(reasons: Sequence[str]) -> Iterator[Caution]:
    if reasons:
        counts = "; ".join(f"{count} x: {why}" for why, count in Counter(reasons).items())
        many = f"{len(reasons)} RTDOSE file{'s' if len(reasons) > 1 else ''} of the folder"
        yield Caution("doses_set_aside", "plan", f"{many} ignored: {counts}", review=False)


def _numbers(plan: IonPlan) -> Iterator[Caution]:
    for beam in plan.beams:
        if beam.plan_number is not None:
            note = f"the plan's BeamNumber (300A,00C0) is {beam.plan_number}; this program uses {beam.number} instead"
            yield Caution("beam_number", f"beam {beam.number}", note, review=False)


def _paintings(plan: IonPlan) -> Iterator[Caution]:
    """Weights are those of all paintings together (PS3.3 C.8.8.25, NumberOfPaintings), so that the dose is the same."""
    for beam in plan.beams:
        if beam.delivery.paintings > 1:
            note = f"NumberOfPaintings (300A,039A) is up to {beam.delivery.paintings}; weights are of all together"
            yield Caution("repainting", f"beam {beam.number}", note, review=False)


def reconstruction(fraction: str, spots: int, mu: float) -> Caution:
    """What the dose of a fraction was computed from. `fraction`: its label; `mu`: of all recorded spots."""
    note = (
        f"the dose of {fraction} as recorded, from {spots} spots with {mu:.6g} MU; energies, range shifters and angles "
        "are those of the plan, spot sizes those of the beam model"
    )
    return Caution("reconstruction", "plan", note, review=False, value=mu, unit="MU")
