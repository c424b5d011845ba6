"""Changes that put a range shifter into the first beam of a correct case, as planning systems write it.

The thin range shifter takes 10 mm of range; energies and weights are raised so that the planned dose stays right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.sample_plans_wrong import deepen
from mqi_communicator.demo.truth import RS_3CM, RS_BLOCK

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

THIN, THIN_WET = "RS_10", 10.0  # mm of water
DECLARED = {  # of the demo's machine: mm of water, and where the downstream edge is
    THIN: (THIN_WET, "plan"),
    RS_3CM.id: (RS_3CM.wet, "plan"),
    RS_BLOCK.id: (RS_BLOCK.wet, "snout - 61.5"),
}
IN_WORD = "POSITION1"  # the demo machine's word for IN
TRAVEL = (50.0, 450.0)  # mm
_DISTANCE = 150.0  # mm, 57 mm above the skin
_LOST = 0.0012  # of the protons per mm of water, in nuclear reactions


def range_shifter(draft: Draft) -> None:
    """As RayStation writes it: number 0, its settings in the first control point alone."""
    points = _listed(draft, 0, THIN)
    points[0].RangeShifterSettingsSequence = [_setting(0, "IN")]
    _deepen(draft, points)


def range_shifter_layers(draft: Draft) -> None:
    """As Eclipse writes it: number 1, at every control point; in for the second half of the layers, by another word."""
    points = _listed(draft, 1, THIN)
    first = len(points) // 4 * 2
    for index, point in enumerate(points):
        point.RangeShifterSettingsSequence = [_setting(1, IN_WORD if index >= first else "OUT")]
    _deepen(draft, points[first:])


def unknown(draft: Draft) -> None:
    """One that the demo machine does not have."""
    points = _listed(draft, 1, "RS_Other")
    points[0].RangeShifterSettingsSequence = [_setting(1, "IN")]


def unknown_word(draft: Draft) -> None:
    """A setting that is neither in nor out."""
    points = _listed(draft, 1, THIN)
    points[0].RangeShifterSettingsSequence = [_setting(1, "HALF")]


def in_body(draft: Draft) -> None:
    """30 mm below the skin."""
    points = _listed(draft, 1, THIN)
    points[0].RangeShifterSettingsSequence = [_setting(1, "IN", 60.0)]


def beyond_travel(draft: Draft) -> None:
    """20 mm farther than the machine can set it."""
    points = _listed(draft, 1, THIN)
    points[0].RangeShifterSettingsSequence = [_setting(1, "IN", TRAVEL[1] + 20.0)]


def too_thick(draft: Draft) -> None:
    """So thick that some layers do not pass it; another thickness than the machine's."""
    points = _listed(draft, 1, RS_BLOCK.id)
    points[0].RangeShifterSettingsSequence = [_setting(1, "IN", wet=110.1)]


def _listed(draft: Draft, number: int, name: str) -> list[Dataset]:
    """Add the range shifter to the first beam; return the beam's control points."""
    beam = draft.object("RP.dcm").IonBeamSequence[0]
    beam.NumberOfRangeShifters = 1
    beam.RangeShifterSequence = [
        item(RangeShifterNumber=number, RangeShifterID=name, AccessoryCode="", RangeShifterType="BINARY")
    ]
    return list(beam.IonControlPointSequence)


def _setting(number: int, word: str, distance: float = _DISTANCE, wet: float = THIN_WET) -> Dataset:
    return item(
        ReferencedRangeShifterNumber=number,
        RangeShifterSetting=word,
        IsocenterToRangeShifterDistance=distance,
        RangeShifterWaterEquivalentThickness=wet,
    )


def _deepen(draft: Draft, points: Sequence[Dataset]) -> None:
    plan = draft.object("RP.dcm")
    reference, beam = plan.FractionGroupSequence[0].ReferencedBeamSequence[0], plan.IonBeamSequence[0]
    deepen(reference, beam, points, THIN_WET, protons=1 + _LOST * THIN_WET)
