"""Range shifters that MCsquare would compute wrongly, or as open fields, without an error. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, IonPlan, Layer, ShifterSetting
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.mcsquare.basis import BeamModel
from mqi_communicator.dose.range_shifter import IN
from mqi_communicator.dose.stopping import range_in_water

_BEHIND = 5.0  # mm of water that the protons must still have behind a range shifter
_METHOD = "Check the beam by another method."


def shifter_problems(plan: IonPlan, beam: Beam, model: BeamModel) -> Iterator[Problem]:
    """Why the range shifters of a prepared beam cannot be computed. The model covers the beam's energies."""

    def problem(found: str, expected: str, advice: str) -> Problem:
        return Problem("dose.range_shifter", plan.file, found, "", expected, advice, where(beam))

    for number, layer in enumerate(beam.layers, start=1):
        if len(layer.shifters) > 1:
            names = " and ".join(printable(one.id) for one in layer.shifters)
            found = f"layer {number} has {names} in the beam at once"
            yield problem(found, "one range shifter: the engine computes only the last of several", _METHOD)
            return
    settings = dict.fromkeys(one for layer in beam.layers for one in layer.shifters)
    for one in settings:
        if not _sendable(one, model):
            found = f"range shifter {printable(one.id)} is not prepared: {one.setting}, {one.distance} mm, {one.wet} mm"
            yield problem(found, "IN, declared, with a distance and a thickness above 0 mm", "Report this error.")
            return
        left = {layer.energy: _left(layer, one, model) for layer in beam.layers if one in layer.shifters}
        if stopped := {energy: mm for energy, mm in left.items() if mm <= _BEHIND}:
            energy, mm = min(stopped.items())
            found = (
                f"behind range shifter {printable(one.id)} of {one.wet:g} mm water-equivalent thickness, protons of "
                f"{energy:g} MeV reach {max(mm, 0.0):.1f} mm of water ({len(stopped)} layers reach too little)"
            )
            yield problem(found, f"more than {_BEHIND:g} mm", "Check the plan: these layers do not reach the patient.")


def _sendable(one: ShifterSetting, model: BeamModel) -> bool:
    numbers = (one.distance or 0.0, one.wet or 0.0)
    return one.setting == IN and one.id in model.shifters and all(0 < value < float("inf") for value in numbers)


def _left(layer: Layer, one: ShifterSetting, model: BeamModel) -> float:
    """The range in water behind the range shifter, in mm; below 0 if it stops the protons."""
    return range_in_water(model.mean_energy(layer.energy)) - (one.wet or 0.0)
