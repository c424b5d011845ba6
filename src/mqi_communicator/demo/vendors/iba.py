"""Eclipse with an IBA machine: a range shifter at the nozzle whose distance in the plan is negative.

The settings are in every control point; where the downstream edge really is, the machine declares from the snout
position. Magnets, private groups and doses are those of Eclipse.
"""

from __future__ import annotations

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.vendors import eclipse, plans

_DISTANCE = -61.5  # mm, as public plans have it


def rewrite(draft: Draft) -> None:
    """Write the case as Eclipse does for an IBA machine."""
    if "RP.dcm" in draft.files:
        for point in plans.control_points(draft.object("RP.dcm")):
            for setting in point.get("RangeShifterSettingsSequence") or ():
                setting.IsocenterToRangeShifterDistance = _DISTANCE
    eclipse.rewrite(draft, machine=("IBA", "PPS"))
