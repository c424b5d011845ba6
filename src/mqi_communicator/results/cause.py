"""The cause of a verdict in one plain sentence: the error that explains the others, without names of checks. Pure.

A wrong range also lowers the dose and gamma, and a wrong position may look like a wrong range. So of the checks that
decide a verdict the one that explains the others comes first, and its sentence is the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from mqi_communicator.case.numbers import short

_ORDER = ("position_offset", "range_r80", "falloff_r80_r20", "penumbra", "dose_scale", "gamma")
_IS_RANGE = 0.8  # of a beam's shift: if its range differs by so much, the shift is one along the beam
_ALIKE = 0.5  # mm or %: beams whose values differ by less are described together


class Check(Protocol):
    """What a cause needs of a `results.verdict.Check`."""

    @property
    def name(self) -> str:
        """Name of the check."""

    @property
    def scope(self) -> str:
        """The plan, a beam or a structure."""

    @property
    def value(self) -> float | None:
        """The measured number in `unit`."""

    @property
    def unit(self) -> str:
        """Unit of the value."""

    @property
    def limit(self) -> str:
        """The limits as text."""

    @property
    def note(self) -> str:
        """One sentence about the value."""


def cause(deciding: Sequence[Check], checks: Sequence[Check]) -> str:
    """The cause of a verdict. `deciding`: the checks of its outcome, at least one; `checks`: all of them."""
    first = _first(deciding)
    same = [check for check in deciding if check.name == first.name]
    whole = next((check for check in same if check.scope == "plan"), None)
    worst = whole or (max(same, key=_size) if first.name in _ORDER else first)
    return _sentence(worst) + _where(worst, same, [check for check in checks if check.name == first.name])


def _first(deciding: Sequence[Check]) -> Check:
    """The check that explains the others."""
    by_name: dict[str, list[Check]] = {}
    for check in deciding:
        by_name.setdefault(check.name, []).append(check)
    names = [name for name in _ORDER if name in by_name]
    if names[:2] == ["position_offset", "range_r80"] and _along(by_name["position_offset"], by_name["range_r80"]):
        return by_name["range_r80"][0]
    return by_name[names[0]][0] if names else deciding[0]


def _along(shifted: Sequence[Check], ranges: Sequence[Check]) -> bool:
    """Whether the range explains the shift of every beam that is shifted."""
    by_scope = {check.scope: check.value for check in ranges}
    for check in shifted:
        depth = by_scope.get(check.scope)
        if depth is None or check.value is None or abs(depth) < _IS_RANGE * check.value:
            return False
    return True


def _size(check: Check) -> float:
    """How far a value is from agreement; a check without a value comes first."""
    if check.value is None:
        return float("inf")
    match check.name:
        case "dose_scale":
            return abs(100 * (check.value - 1))
        case "gamma":
            return 100 - check.value
        case _:
            return abs(check.value)


def _where(worst: Check, same: Sequence[Check], known: Sequence[Check]) -> str:
    """The beams or structures that it concerns; "" if it concerns the plan, or all of them alike."""
    scopes = [check.scope for check in same]
    if worst.scope == "plan":
        return ""
    if len(scopes) == len({check.scope for check in known}) and all(_is_alike(check, worst) for check in same):
        return ""
    scopes = [check.scope for check in same if _is_alike(check, worst)]
    if len(scopes) == 1:
        return f" ({scopes[0]})"
    kind = scopes[0].split()[0]
    numbers = [scope.split()[-1] for scope in scopes]
    return f" ({kind}s {', '.join(numbers[:-1])} and {numbers[-1]})"


def _is_alike(check: Check, worst: Check) -> bool:
    if check.value is None or worst.value is None:
        return check.value is worst.value
    return abs(check.value - worst.value) < (_ALIKE / 100 if check.unit == "ratio" else _ALIKE)


def _sentence(check: Check) -> str:
    """The sentence of a check; where it has no value, its note says why."""
    write = _SENTENCES.get(check.name)
    if write is None or check.value is None:
        return check.note or f"the limit is {check.limit}"
    return write(check, check.value)


def _range(check: Check, value: float) -> str:
    if "distal edge" in check.note:  # missing on many rays, so that the median means little
        return check.note
    return f"the computed range is {short(abs(value))} mm {'deeper' if value > 0 else 'shallower'} than planned"


def _offset(check: Check, value: float) -> str:
    shape = " and its shape differs" if "shape differs" in check.note else ""
    return f"the computed dose is shifted by {short(value)} mm{shape}"


def _falloff(check: Check, value: float) -> str:
    if "distal edge" in check.note:
        return check.note
    return f"the computed distal falloff is {short(abs(value))} mm {'longer' if value > 0 else 'shorter'} than planned"


def _penumbra(check: Check, value: float) -> str:
    if "edges of the field" in check.note:  # too few are known
        return check.note
    return f"the computed penumbra is {short(abs(value))} mm {'wider' if value > 0 else 'narrower'} than planned"


def _scale(check: Check, value: float) -> str:
    if "do not overlap" in check.note:
        return check.note
    if hint := _hint(check):
        return hint
    off = 100 * (value - 1)
    return f"the computed dose is {short(abs(off))} % {'higher' if off > 0 else 'lower'} than planned"


def _hint(check: Check) -> str:
    """What `scale.known_factor_hint` says of a ratio; "" if nothing."""
    _, found, hint = check.note.partition("; the ratio is near ")
    return f"the dose ratio is near {hint}" if found else ""


def _gamma(check: Check, value: float) -> str:
    _, _, criterion = check.note.partition(" points within ")
    within = f" within {criterion.split(',')[0].replace(' / ', '/')}" if criterion else ""
    return f"only {short(value)} % of the points agree{within}"


def _uncertainty(_: Check, value: float) -> str:
    return f"the statistical uncertainty is {short(value, 2)} %, too high for a verdict"


_SENTENCES: Mapping[str, Callable[[Check, float], str]] = {
    "range_r80": _range,
    "position_offset": _offset,
    "falloff_r80_r20": _falloff,
    "penumbra": _penumbra,
    "dose_scale": _scale,
    "gamma": _gamma,
    "uncertainty": _uncertainty,
}
