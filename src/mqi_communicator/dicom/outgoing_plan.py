"""Writes an RT Ion Plan for an engine: beam geometry and spots in MU, beams by their own numbers (PS3.3 A.49).

Weights are MU: BeamMeterset and FinalCumulativeMetersetWeight are equal, so it does not matter whether an engine
scales with them. Spots without weight are left out. There is an item for every number from 1 to the highest, since
engines look up a beam by its number in one place and by its position in the list in another: an item that is no
treatment beam has one spot without weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.decimal_string import decimal
from mqi_communicator.dicom.header import ION_PLAN
from mqi_communicator.dicom.outgoing import content_digest, encoded, item, new_object
from mqi_communicator.dicom.outgoing_devices import SentAperture, SentShifter, block_item, shifter_item, shifter_setting
from mqi_communicator.dicom.outgoing_names import beam_name
from mqi_communicator.dicom.problem import DicomProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_MOST = 1000  # of a beam number: an item is sent for each one below it
_NO_SIZE = [1.0, 1.0]  # mm; engines read a spot size and take it from the beam model


@dataclass(frozen=True, slots=True)
class SentLayer:
    """One energy layer as it is sent."""

    energy: float  # MeV
    spots: NDArray[np.float64]  # (n, 2): x, y mm, IEC gantry at the isocentre
    weights: NDArray[np.float32]  # (n,): MU, all above 0


@dataclass(frozen=True, slots=True)
class SentBeam:
    """One treatment beam as it is sent. Names are generated: nothing that a user typed."""

    number: int
    machine: str
    gantry_angle: float
    couch_angle: float
    isocenter: tuple[float, float, float]
    snout_position: float  # mm
    sad: tuple[float, float]  # mm, virtual source to axis
    layers: tuple[SentLayer, ...]
    shifter: SentShifter | None = None
    aperture: SentAperture | None = None


def plan_file(beams: Sequence[SentBeam], ct_content: bytes) -> bytes:
    """Return the plan as a DICOM file. DicomProblem for a beam number out of bounds."""
    highest = max(beam.number for beam in beams)
    if highest > _MOST or min(beam.number for beam in beams) < 1:
        raise DicomProblem(
            f"a beam has the number {highest}, expected 1 to {_MOST}",
            "renumber the beams in the planning system and export the plan again",
            code="dose.beam_number",
        )
    content = content_digest(ct_content, repr(beams).encode("ascii", "replace"), *_spot_bytes(beams))
    known = {beam.number: beam for beam in beams}
    ds = new_object(ION_PLAN, "RTPLAN", ct_content, content.hex())
    ds.SeriesNumber, ds.InstanceNumber = 2, 1
    ds.RTPlanLabel, ds.RTPlanDate, ds.RTPlanTime, ds.RTPlanGeometry = "MQI", "", "", "TREATMENT_DEVICE"
    ds.ApprovalStatus = "UNAPPROVED"
    ds.PatientSetupSequence = [item(PatientSetupNumber=1, PatientPosition="HFS")]
    ds.FractionGroupSequence = [_fractions(beams)]
    ds.IonBeamSequence = [
        _beam_item(known[number]) if number in known else _filler(number, beams[0]) for number in range(1, highest + 1)
    ]
    return encoded(ds)


def _spot_bytes(beams: Sequence[SentBeam]) -> list[bytes]:
    return [array.tobytes() for beam in beams for layer in beam.layers for array in (layer.spots, layer.weights)]


def _total(layers: Sequence[SentLayer]) -> float:
    return float(sum(layer.weights.sum(dtype=np.float64) for layer in layers))


def _fractions(beams: Sequence[SentBeam]) -> Dataset:
    return item(
        FractionGroupNumber=1,
        NumberOfFractionsPlanned=1,
        NumberOfBeams=len(beams),
        NumberOfBrachyApplicationSetups=0,
        ReferencedBeamSequence=[
            item(ReferencedBeamNumber=beam.number, BeamMeterset=decimal(_total(beam.layers))) for beam in beams
        ],
    )


def _filler(number: int, like: SentBeam) -> Dataset:
    """Return an item that is no treatment beam: aimed like another, with one spot without weight."""
    nothing = SentLayer(like.layers[0].energy, np.zeros((1, 2)), np.zeros(1, np.float32))
    beam = SentBeam(number, like.machine, 0.0, 0.0, like.isocenter, like.snout_position, like.sad, (nothing,))
    made = _beam_item(beam)
    made.BeamName = f"unused_{number}"
    return made


def _beam_item(beam: SentBeam) -> Dataset:
    made = item(
        BeamNumber=beam.number,
        BeamName=beam_name(beam.number),
        BeamType="STATIC",
        RadiationType="PROTON",
        ScanMode="MODULATED",
        ModulatedScanModeType="STATIONARY",
        TreatmentMachineName=beam.machine,
        InstitutionName="MQI",
        PrimaryDosimeterUnit="MU",
        TreatmentDeliveryType="TREATMENT",
        VirtualSourceAxisDistances=list(beam.sad),
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0 if beam.aperture is None else 1,
        NumberOfRangeShifters=0 if beam.shifter is None else 1,
        NumberOfLateralSpreadingDevices=0,
        NumberOfRangeModulators=0,
        PatientSupportType="TABLE",
        FinalCumulativeMetersetWeight=decimal(_total(beam.layers)),
        NumberOfControlPoints=2 * len(beam.layers),
        ReferencedPatientSetupNumber=1,
        IonControlPointSequence=_control_points(beam),
    )
    if beam.shifter is not None:
        made.RangeShifterSequence = [shifter_item()]
        for point in made.IonControlPointSequence:
            point.RangeShifterSettingsSequence = [shifter_setting(beam.shifter)]
    if beam.aperture is not None:
        made.IonBlockSequence = [block_item(beam.aperture)]
    return made


def _control_points(beam: SentBeam) -> list[Dataset]:
    """Return two per layer: the first delivers, the second ends it with the same spots without weight."""
    points: list[Dataset] = []
    for index, layer in enumerate(beam.layers):
        before, behind = _total(beam.layers[:index]), _total(beam.layers[: index + 1])
        points.append(_control_point(len(points), layer, layer.weights.tolist(), before))
        points.append(_control_point(len(points), layer, [0.0] * len(layer.weights), behind))
    for keyword, value in _aim(beam).items():
        setattr(points[0], keyword, value)
    return points


def _control_point(index: int, layer: SentLayer, weights: list[float], cumulative: float) -> Dataset:
    return item(
        ControlPointIndex=index,
        NominalBeamEnergy=decimal(layer.energy),
        CumulativeMetersetWeight=decimal(cumulative),
        ScanSpotTuneID="MQI",
        NumberOfScanSpotPositions=len(weights),
        ScanSpotPositionMap=layer.spots.ravel().tolist(),
        ScanSpotMetersetWeights=weights,
        ScanningSpotSize=_NO_SIZE,
        NumberOfPaintings=1,
    )


def _aim(beam: SentBeam) -> dict[str, object]:
    """Return the elements of the first control point. Spots do not rotate with the beam limiting device."""
    angles = {
        "GantryAngle": decimal(beam.gantry_angle),
        "BeamLimitingDeviceAngle": "0",
        "PatientSupportAngle": decimal(beam.couch_angle),
    }
    level = dict.fromkeys(("GantryPitchAngle", "TableTopPitchAngle", "TableTopRollAngle"), 0.0)
    still = {keyword.replace("Angle", "RotationDirection"): "NONE" for keyword in (*angles, *level)}
    table = {f"TableTop{way}Position": None for way in ("Vertical", "Longitudinal", "Lateral")}
    return {
        **angles,
        **level,
        **still,
        **table,
        "IsocenterPosition": [decimal(value) for value in beam.isocenter],
        "SnoutPosition": beam.snout_position,
    }
