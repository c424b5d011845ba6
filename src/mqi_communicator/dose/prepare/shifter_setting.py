"""One range shifter as a plan sets it, compared with what the site declares for the machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mqi_communicator.dicom.collector import tagged
from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, ShifterSetting
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.range_shifter import IN, OUT, RangeShifter

_CODE = "dose.range_shifter"
_TPS = "Correct it in the treatment planning system and export the plan again."


def resolved(
    file: str, beam: Beam, one: ShifterSetting, declared: Mapping[str, RangeShifter]
) -> ShifterSetting | Problem | None:
    """A range shifter that is in the beam, IN with its final distance and thickness; None for one that is out.

    A Problem for one that is not declared or not set, or that the machine cannot set so. `file`: the plan's.
    """

    def problem(found: str, tag: str, expected: str, advice: str = _TPS, clause: str = "") -> Problem:
        return Problem(_CODE, file, found, tag, expected, advice, where(beam), clause)

    name, machine = printable(one.id), printable(beam.machine)
    if one.setting == OUT:
        return None
    if (known := declared.get(one.id)) is None:
        expected = f"one that is declared for machine {machine} ({', '.join(sorted(declared)) or 'none'})"
        advice = f"Declare it in the configuration under machines, {machine}, range_shifters, or correct the plan."
        return problem(name, tagged("RangeShifterID"), expected, advice)
    if (state := known.state(one.setting)) is None:
        expected = f"one of {', '.join([IN, OUT, *sorted(known.settings)])} for range shifter {name}"
        advice = f"Add the word to the settings of this range shifter of machine {machine}, or correct the plan."
        return problem(printable(one.setting), tagged("RangeShifterSetting"), expected, advice)
    if state == OUT:
        return None
    wet = known.wet if one.wet is None else one.wet
    if not 0 < wet < float("inf"):
        expected = f"more than 0 mm for range shifter {name}, which is in the beam"
        return problem(f"{wet:g}", tagged("RangeShifterWaterEquivalentThickness"), expected)
    distance, tag = _distance(beam, one, known)
    if distance is None:
        return problem("", tag, f"the number that gives the position of range shifter {name}")
    nearest, farthest = known.travel
    if not nearest <= distance <= farthest:
        found, expected = f"{distance:g} mm", f"{nearest:g} to {farthest:g} mm, its travel"
        clause = f"range shifter {name} is {found} from the isocentre (downstream edge, by {tag}), expected {expected}"
        advice = "Check the plan, and distance and travel of this range shifter in the configuration."
        return problem(found, tag, expected, advice, clause)
    return ShifterSetting(one.id, IN, distance, wet)


def _distance(beam: Beam, one: ShifterSetting, known: RangeShifter) -> tuple[float | None, str]:
    """Isocentre to the downstream edge in mm, None if the plan lacks what gives it; and that element."""
    gap = known.snout_gap
    if gap is None:
        return one.distance, tagged("IsocenterToRangeShifterDistance")
    return None if beam.snout_position is None else beam.snout_position + gap, tagged("SnoutPosition")
