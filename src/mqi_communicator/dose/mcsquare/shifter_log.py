"""Whether MCsquare's log proves that a beam's range shifters were computed as sent. Pure.

The head of the log describes the range shifter of each field, before the first proton. Its exit code proves nothing: a
range shifter that it does not understand is left out, with exit code 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mqi_communicator.dose.mcsquare.range_shifters import SentShifter

_HEAD = re.compile(r"^Range shifter initialized for beam (\d+): *\n((?:[ \t]+\S.*\n?)*)", re.MULTILINE)
_EXPECTED = re.compile(
    r"^Expected range shifter: beam (\d+) field (\d+) (\S+) material (\d+) density (\S+) distance (\S+) WET (\S+)$",
    re.MULTILINE,
)
_LINES = {
    "engine_id": r"Range shifter ID: (\S+)",
    "material": r"Material: .*\(ID (\d+)\)",
    "density": r"Density: (\S+) g/cm3",
    "distance": r"Static position: (\S+) cm from isocenter",
    "wet": r"Static thickness: \S+ cm \(WET=(\S+)\)",
}
_ENABLED = "Enabled for all layers"
_ROUNDED = 0.0051  # cm or g/cm3: the engine prints two decimals


def expected_lines(beam: int, shifters: Sequence[SentShifter]) -> list[str]:
    """Lines that every job of the case adds to its log, so that the log alone shows what was to be computed."""
    return [
        f"Expected range shifter: beam {beam} field {one.field} {one.engine_id} material {one.material} "
        f"density {one.density!r} distance {one.distance!r} WET {one.wet!r}"
        for one in shifters
    ]


def read_expected(log: str, beam: int) -> tuple[SentShifter, ...]:
    """The range shifters of one beam in the lines of `expected_lines`."""
    return tuple(
        SentShifter(int(field), name, int(material), float(density), float(distance), float(wet))
        for of, field, name, material, density, distance, wet in _EXPECTED.findall(log)
        if int(of) == beam
    )


def shifter_problem(log: str, sent: Sequence[SentShifter], *, whole: bool) -> str | None:
    """The first range shifter that the log does not describe as sent, as text; None if there is none.

    `whole`: the head of the log is complete, so that what it lacks was not computed; otherwise nothing is concluded.
    """
    if not whole:
        return None
    described = {int(field): text for field, text in _HEAD.findall(log)}
    for one in sent:
        if one.field not in described:
            return f"the engine's log does not mention range shifter {one.engine_id} of field {one.field}"
        if problem := _difference(described[one.field], one):
            return f"the engine did not compute range shifter {one.engine_id} of field {one.field} as sent: {problem}"
    more = sorted(set(described) - {one.field for one in sent})
    if more:
        return f"the engine's log describes a range shifter of field {more[0]}, and none was sent"
    return None


def _difference(text: str, sent: SentShifter) -> str:
    found = {name: match[1] if (match := re.search(line, text)) else "" for name, line in _LINES.items()}
    if _ENABLED not in text:
        state = next((line.strip() for line in text.splitlines() if "abled for" in line), "nothing")
        return f"its log has {state!r}, expected {_ENABLED!r}"
    if (found["engine_id"], found["material"]) != (sent.engine_id, str(sent.material)):
        return f"ID {found['engine_id']} of material {found['material']}, expected material {sent.material}"
    expected = {"density": sent.density, "distance": sent.distance / 10, "wet": sent.wet / 10}
    for name, value in expected.items():
        if not abs(_number(found[name]) - value) <= _ROUNDED:  # so that NaN differs
            unit = "g/cm3" if name == "density" else "cm"
            return f"{name} {found[name] or 'missing'}, expected {value:.2f} {unit}"
    return ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
