"""Changes to the plan of a correct case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.truth import energy_of_range, range_of_energy

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PROTONS_PER_MU_POWER = 0.71  # protons per MU grow as energy to this power in the demo beam model, 105 to 145 MeV
_PHOTON_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
_SPOT_TAGS = ("NumberOfScanSpotPositions", "ScanSpotPositionMap", "ScanSpotMetersetWeights", "ScanningSpotSize")
_SPOT_ONLY = (*_SPOT_TAGS, "ScanSpotTuneID", "NumberOfPaintings")


def _plan(draft: Draft) -> Dataset:
    return draft.object("RP.dcm")


def _beams(draft: Draft) -> list[Dataset]:
    return list(_plan(draft).IonBeamSequence)


def _points(draft: Draft) -> list[Dataset]:
    return [point for beam in _beams(draft) for point in beam.IonControlPointSequence]


def re_export(draft: Draft) -> None:
    """The same plan, written again a day later."""
    _plan(draft).InstanceCreationDate = "20200102"


def shift_error(draft: Draft) -> None:
    """Isocentre + 3 mm along z, which is lateral for every beam."""
    for beam in _beams(draft):
        first = beam.IonControlPointSequence[0]
        x, y, z = first.IsocenterPosition
        first.IsocenterPosition = [x, y, z + 3.0]


def range_error(draft: Draft) -> None:
    """Energies whose range is 5 mm longer; spot weights lowered so that the number of protons stays."""
    for reference, beam in zip(
        _plan(draft).FractionGroupSequence[0].ReferencedBeamSequence, _beams(draft), strict=True
    ):
        deepen(reference, beam, list(beam.IonControlPointSequence), 5.0)


def deepen(reference: Dataset, beam: Dataset, points: Sequence[Dataset], mm: float, protons: float = 1.0) -> None:
    """Raise the energies of these control points so that their range is longer; `protons`: the factor of their number.

    `reference`: the beam's item of the fraction group.
    """
    before = float(beam.FinalCumulativeMetersetWeight)
    for point in points:
        energy = point.NominalBeamEnergy
        longer = round(energy_of_range(range_of_energy(energy) + mm), 2)
        factor = protons * (energy / longer) ** _PROTONS_PER_MU_POWER
        point.NominalBeamEnergy = longer
        point.ScanSpotMetersetWeights = [round(w * factor, 4) for w in _many(point.ScanSpotMetersetWeights)]
    delivered = layer = 0.0
    for point in beam.IonControlPointSequence:
        delivered = round(delivered + layer, 4)  # what the points before have delivered
        layer = sum(_many(point.ScanSpotMetersetWeights))
        point.CumulativeMetersetWeight = delivered
    beam.FinalCumulativeMetersetWeight = delivered
    reference.BeamMeterset = round(float(reference.BeamMeterset) * delivered / before, 6)


def _many(value: object) -> list[float]:
    """A multi-valued attribute as a list, also where it has one value."""
    return [float(v) for v in value] if hasattr(value, "__iter__") else [float(value)]  # type: ignore[arg-type]


def two_plans(draft: Draft) -> None:
    """A second plan of the same beams, with its own UID and label."""
    from copy import deepcopy

    other = deepcopy(_plan(draft))
    other.SOPInstanceUID = draft.uids.of("second plan")
    other.RTPlanLabel, other.InstanceNumber = "MQI SAMPLE 2", 2
    draft.files["RP2.dcm"] = other


def setup_beam(draft: Draft) -> None:
    """Number 1 becomes a SETUP beam without meterset; the treatment beams become 2, 3, ..."""
    from copy import deepcopy

    plan = _plan(draft)
    setup = deepcopy(plan.IonBeamSequence[0])
    _raise_numbers(draft)
    setup.BeamNumber, setup.BeamName, setup.TreatmentDeliveryType = 1, "Setup", "SETUP"
    setup.IonControlPointSequence, setup.NumberOfControlPoints = setup.IonControlPointSequence[:2], 2
    setup.FinalCumulativeMetersetWeight = 0.0
    for point in setup.IonControlPointSequence:
        point.CumulativeMetersetWeight = 0.0
        point.ScanSpotMetersetWeights = [0.0] * int(point.NumberOfScanSpotPositions)
    plan.IonBeamSequence.insert(0, setup)
    group = plan.FractionGroupSequence[0]
    group.ReferencedBeamSequence.insert(0, item(ReferencedBeamNumber=1))
    group.NumberOfBeams = len(group.ReferencedBeamSequence)


def _raise_numbers(draft: Draft) -> None:
    for beam in _beams(draft):
        beam.BeamNumber += 1
    for reference in _plan(draft).FractionGroupSequence[0].ReferencedBeamSequence:
        reference.ReferencedBeamNumber += 1
    for beam in reversed(draft.size.fields):
        dose = draft.object(f"RD.beam{beam.number}.dcm")
        group = dose.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0]
        group.ReferencedBeamSequence[0].ReferencedBeamNumber = beam.number + 1
        draft.rename(f"RD.beam{beam.number}.dcm", f"RD.beam{beam.number + 1}.dcm")


def photon_plan(draft: Draft) -> None:
    """An RT Plan object with one open photon field per beam; the doses follow it."""
    plan = _plan(draft)
    plan.SOPClassUID = _PHOTON_PLAN
    group = plan.FractionGroupSequence[0]
    plan.BeamSequence = [_photon_beam(ion) for ion in plan.IonBeamSequence]
    group.NumberOfBeams = len(plan.BeamSequence)
    plan.ToleranceTableSequence = plan.IonToleranceTableSequence
    del plan.IonBeamSequence, plan.IonToleranceTableSequence
    for dose in draft.objects("RD."):
        dose.ReferencedRTPlanSequence[0].ReferencedSOPClassUID = _PHOTON_PLAN


def _photon_beam(ion: Dataset) -> Dataset:
    first = ion.IonControlPointSequence[0]
    start = item(
        ControlPointIndex=0,
        NominalBeamEnergy=6.0,
        CumulativeMetersetWeight=0.0,
        BeamLimitingDevicePositionSequence=[
            item(RTBeamLimitingDeviceType=jaw, LeafJawPositions=[-20.0, 20.0]) for jaw in ("X", "Y")
        ],
        TableTopEccentricAngle=0.0,
        TableTopEccentricRotationDirection="NONE",
    )
    for keyword in _PHOTON_AIM:
        start[keyword] = first[keyword]
    return item(
        BeamNumber=ion.BeamNumber,
        BeamName=ion.BeamName,
        BeamType="STATIC",
        RadiationType="PHOTON",
        TreatmentMachineName="MQI-LINAC",
        PrimaryDosimeterUnit="MU",
        SourceAxisDistance=1000.0,
        BeamLimitingDeviceSequence=[item(RTBeamLimitingDeviceType=jaw, NumberOfLeafJawPairs=1) for jaw in ("X", "Y")],
        TreatmentDeliveryType="TREATMENT",
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        FinalCumulativeMetersetWeight=1.0,
        NumberOfControlPoints=2,
        ReferencedPatientSetupNumber=1,
        ControlPointSequence=[start, item(ControlPointIndex=1, CumulativeMetersetWeight=1.0)],
    )


_PHOTON_AIM = (
    "GantryAngle",
    "GantryRotationDirection",
    "BeamLimitingDeviceAngle",
    "BeamLimitingDeviceRotationDirection",
    "PatientSupportAngle",
    "PatientSupportRotationDirection",
    "TableTopPitchAngle",
    "TableTopPitchRotationDirection",
    "TableTopRollAngle",
    "TableTopRollRotationDirection",
    "TableTopVerticalPosition",
    "TableTopLongitudinalPosition",
    "TableTopLateralPosition",
    "IsocenterPosition",
)


def carbon(draft: Draft) -> None:
    """Carbon 12, fully stripped; energies stay."""
    for beam in _beams(draft):
        beam.RadiationType = "ION"
        beam.RadiationMassNumber, beam.RadiationAtomicNumber, beam.RadiationChargeState = 12, 6, 6


def no_spots(draft: Draft) -> None:
    """Remove the spot elements."""
    for point in _points(draft):
        for keyword in _SPOT_TAGS:
            delattr(point, keyword)


def private_spots(draft: Draft) -> None:
    """Move the spots into little-endian float32 pairs and weights of a private block."""
    for point in _points(draft):
        block = point.private_block(0x300B, "IMPAC", create=True)  # as line scanning has it
        for offset, values in ((0x94, point.ScanSpotPositionMap), (0x96, _many(point.ScanSpotMetersetWeights))):
            block.add_new(offset, "OB", np.asarray(values, dtype="<f4").tobytes())
        for keyword in ("ScanSpotPositionMap", "ScanSpotMetersetWeights"):
            delattr(point, keyword)


def zero_weights(draft: Draft) -> None:
    """Every spot has no weight, and the beams none either."""
    for beam in _beams(draft):
        beam.FinalCumulativeMetersetWeight = 0.0
    for point in _points(draft):
        point.CumulativeMetersetWeight = 0.0
        point.ScanSpotMetersetWeights = [0.0] * int(point.NumberOfScanSpotPositions)


def _shift_energies(draft: Draft, by: float) -> None:
    for point in _points(draft):
        point.NominalBeamEnergy = round(point.NominalBeamEnergy + by, 2)


def energy_outside(draft: Draft) -> None:
    """+ 125 MeV: all layers above 225 MeV."""
    _shift_energies(draft, 125.0)


def energy_uncommissioned(draft: Draft) -> None:
    """- 45 MeV: all layers between 50 and 90 MeV, where the demo beam model has one made-up row."""
    _shift_energies(draft, -45.0)


def unmapped_machine(draft: Draft) -> None:
    """Another machine's name."""
    for beam in _beams(draft):
        beam.TreatmentMachineName = "UNKNOWN-GANTRY"


def bolus(draft: Draft) -> None:
    """Use the bone as bolus of the first beam."""
    beam = _beams(draft)[0]
    beam.NumberOfBoli = 1
    beam.ReferencedBolusSequence = [item(ReferencedROINumber=3, AccessoryCode="")]


def couch_pitch(draft: Draft) -> None:
    """3 degrees in the first beam."""
    _beams(draft)[0].IonControlPointSequence[0].TableTopPitchAngle = 3.0


def _mode(draft: Draft, mode: str) -> None:
    for beam in _beams(draft):
        beam.ScanMode = mode
        del beam.ModulatedScanModeType


def uniform_scan(draft: Draft) -> None:
    """No spot tags."""
    _mode(draft, "UNIFORM")
    _strip(draft)


def passive(draft: Draft) -> None:
    """No scanning, no spot tags."""
    _mode(draft, "NONE")
    _strip(draft)


def _strip(draft: Draft) -> None:
    for point in _points(draft):
        for keyword in _SPOT_ONLY:
            delattr(point, keyword)


def two_fraction_groups(draft: Draft) -> None:
    """The same beams again, in a second group of ten fractions."""
    from copy import deepcopy

    groups = _plan(draft).FractionGroupSequence
    second = deepcopy(groups[0])
    second.FractionGroupNumber, second.NumberOfFractionsPlanned = 2, 10
    groups.append(second)
