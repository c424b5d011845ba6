"""Six kinds of deliberate dose errors, on a large and on a small target, and the checks that must detect them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from tests.unit.results.conftest import CONVENTIONS
from tests.unit.results.patients import LARGE, SMALL, Case, Ellipsoid, Field, Patient, Wrong, computed, planned

from mqi_communicator.results.compare import judge
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.verdict import Verdict

CASES = {"large": LARGE, "small": SMALL}
OTHERS = {  # another patient with the same prescription and a target at nearly the same position
    "large": Patient(
        (Ellipsoid((4, 3, -5), (36, 40, 36)), Ellipsoid((-12, 14, -8), (26, 24, 26))),
        (0.0, 24.0),
        (118.0, 92.0),
        112.0,
        64.0,
    ),
    "small": Patient(
        (Ellipsoid((1, 2, -2), (15, 12, 13)), Ellipsoid((-5, 4, 5), (10, 11, 10))),
        (1.0, 9.0),
        (78.0, 88.0),
        100.0,
        42.0,
    ),
}


@dataclass(frozen=True)
class Error:
    """A wrong dose, the check that a physicist expects to fail, and the beams that are wrong; all, if none.

    `each`: that check blames every wrong beam. What is mirrored or another's may be nearly right in one of them.
    """

    makes: Callable[[Case, Patient, Field], Wrong]
    blamed: str
    beams: tuple[int, ...] = ()
    each: bool = True


def _everywhere(wrong: Wrong, blamed: str, *, each: bool = True) -> Error:
    return Error(lambda _case, _other, _field: wrong, blamed, each=each)


def _one(number: int, wrong: Callable[[Field], Wrong], blamed: str) -> Error:
    return Error(lambda _c, _o, field: wrong(field) if field.number == number else Wrong(), blamed, (number,))


def _exchanged(case: Case, _other: Patient, field: Field) -> Wrong:
    one, two = case.fields[:2]
    there = {one.number: two, two.number: one}.get(field.number, field)
    return Wrong(gantry=there.gantry, couch=there.couch)


ERRORS = {
    "shifted 3 mm to the left": _everywhere(Wrong(shift=(3, 0, 0)), "position_offset"),
    "shifted 3 mm to the back": _everywhere(Wrong(shift=(0, 3, 0)), "position_offset"),
    "shifted 3 mm to the head": _everywhere(Wrong(shift=(0, 0, 3)), "position_offset"),
    "scaled by +4 %": _everywhere(Wrong(scale=1.04), "dose_scale"),
    "scaled by -4 %": _everywhere(Wrong(scale=0.96), "dose_scale"),
    "range +5 mm": _everywhere(Wrong(deeper=5), "range_r80"),
    "range +5 mm, beam 1 only": _one(1, lambda _: Wrong(deeper=5), "range_r80"),
    "gantry +10°, beam 2 only": _one(2, lambda f: Wrong(gantry=f.gantry + 10), "position_offset"),
    "gantry of beams 1 and 2 exchanged": Error(_exchanged, "position_offset", (1, 2)),
    "mirrored: the patient's left and right": _everywhere(Wrong(flipped=True), "position_offset", each=False),
    "mirrored: the spots' x": _everywhere(Wrong(spots_flipped=True), "position_offset", each=False),
    "another patient's plan": Error(lambda _c, other, _f: Wrong(dose_of=other), "position_offset", each=False),
    "this plan on another patient's CT": Error(lambda _c, other, _f: Wrong(ct_of=other), "range_r80", each=False),
}
QUICK = {  # gamma costs nearly all of the time: for the small target that of the plan, for the large one next to none
    "large": JudgementOptions.model_validate({"gamma": {"per_beam": False, "cutoff_percent": 99, "dose_percent": 20}}),
    "small": JudgementOptions.model_validate({"gamma": {"per_beam": False}}),
}


@cache
def verdict(size: str, name: str = "", *, quick: bool = False, seed: int = 1, noise: float | None = None) -> Verdict:
    """The verdict of a named wrong dose, or of the correct dose without a name. `noise`: 1 sigma of a beam."""
    options = QUICK[size] if quick else JudgementOptions()
    case = CASES[size] if noise is None else replace(CASES[size], noise=noise)
    makes = ERRORS[name].makes if name else (lambda *_: Wrong())
    doses = computed(case, lambda field: makes(case, OTHERS[size], field), seed=seed)
    return judge(case.plan(), _planned(size), doses, options, conventions=CONVENTIONS)


@cache
def _planned(size: str):
    return planned(CASES[size])
