"""The RT Ion Plan of a sample (PS3.3 A.49): spot scanning, layers as pairs of control points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import DATE, MANUFACTURER, TIME, Draft, start
from mqi_communicator.demo.sample_images import item, refer
from mqi_communicator.demo.sample_private import add_private_groups
from mqi_communicator.demo.truth import FRACTIONS
from mqi_communicator.dicom.records import Beam, Layer, LayerKind, ShifterSetting

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ION_PLAN = "1.2.840.10008.5.1.4.1.1.481.8"
_SPOT_SIZE = [9.0, 10.0]  # mm, full width at half maximum in air at the isocentre, for the record only
_SAD = [2234.8, 1859.1]  # mm; the scanning magnets x and y


def add_plan(draft: Draft) -> None:
    """RP.dcm: the truth's beams, five fractions, one patient setup per beam, private groups as vendors write them."""
    ds = start(draft, ION_PLAN, "RTPLAN")
    ds.SeriesNumber, ds.InstanceNumber = 3, 1
    ds.RTPlanLabel, ds.RTPlanName, ds.RTPlanDescription = "TRUNK 10 GY", "TRUNK 10 GY", "MADE UP, NO PATIENT"
    ds.RTPlanDate, ds.RTPlanTime, ds.RTPlanGeometry = DATE, TIME, "PATIENT"
    ds.PlanIntent, ds.ApprovalStatus = "CURATIVE", "APPROVED"
    ds.ReviewDate, ds.ReviewTime, ds.ReviewerName = DATE, TIME, ""
    beams = draft.size.beams()
    ds.DoseReferenceSequence = [_prescription()]
    ds.IonToleranceTableSequence = [item(ToleranceTableNumber=1, ToleranceTableLabel="DEMO", GantryAngleTolerance=0.5)]
    ds.FractionGroupSequence = [_fractions(beams)]
    ds.PatientSetupSequence = [
        item(PatientSetupNumber=n, PatientPosition="HFS", SetupTechnique="ISOCENTRIC")
        for n, _ in enumerate(beams, start=1)
    ]
    ds.IonBeamSequence = [_ion_beam(beam, setup) for setup, beam in enumerate(beams, start=1)]
    ds.ReferencedStructureSetSequence = [refer(draft.object("RS.dcm"))]
    add_private_groups(ds)
    draft.files["RP.dcm"] = ds


def _prescription() -> Dataset:
    return item(
        DoseReferenceNumber=1,
        DoseReferenceStructureType="VOLUME",
        DoseReferenceType="TARGET",
        ReferencedROINumber=2,
        TargetPrescriptionDose=10.0,
    )


def _fractions(beams: tuple[Beam, ...]) -> Dataset:
    return item(
        FractionGroupNumber=1,
        NumberOfFractionsPlanned=FRACTIONS,
        NumberOfBeams=len(beams),
        NumberOfBrachyApplicationSetups=0,
        ReferencedBeamSequence=[item(ReferencedBeamNumber=b.number, BeamMeterset=b.meterset) for b in beams],
    )


def _ion_beam(beam: Beam, setup: int) -> Dataset:
    lines = any(layer.kind is LayerKind.LINES for layer in beam.layers)
    shifters = {shifter.id: shifter for layer in beam.layers for shifter in layer.shifters}
    return item(
        BeamNumber=beam.number,
        BeamName=beam.name,
        BeamType="STATIC",
        RadiationType="PROTON",
        **({"ScanMode": "LINE"} if lines else {"ScanMode": "MODULATED", "ModulatedScanModeType": "STATIONARY"}),
        TreatmentMachineName=beam.machine,
        Manufacturer=MANUFACTURER,
        InstitutionName="MQI SAMPLE",
        PrimaryDosimeterUnit="MU",
        TreatmentDeliveryType="TREATMENT",
        VirtualSourceAxisDistances=list(_SAD),
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        NumberOfRangeShifters=len(shifters),
        **({"RangeShifterSequence": [_shifter(name) for name in shifters]} if shifters else {}),
        NumberOfLateralSpreadingDevices=len(_SAD),
        LateralSpreadingDeviceSequence=_magnets(),
        NumberOfRangeModulators=0,
        PatientSupportType="TABLE",
        FinalCumulativeMetersetWeight=beam.final_cumulative_weight,
        NumberOfControlPoints=2 * len(beam.layers),
        ReferencedPatientSetupNumber=setup,
        ReferencedToleranceTableNumber=1,
        IonControlPointSequence=_control_points(beam),
    )


def _shifter(name: str) -> Dataset:
    return item(RangeShifterNumber=1, RangeShifterID=name, AccessoryCode=name, RangeShifterType="BINARY")


def _shifter_setting(shifter: ShifterSetting) -> Dataset:
    return item(
        ReferencedRangeShifterNumber=1,
        RangeShifterSetting=shifter.setting,
        IsocenterToRangeShifterDistance=shifter.distance,
        RangeShifterWaterEquivalentThickness=shifter.wet,
    )


def _magnets() -> list[Dataset]:
    """The scanning magnets, which plans of scanned beams list as lateral spreading devices."""
    return [
        item(
            LateralSpreadingDeviceNumber=number,
            LateralSpreadingDeviceID=name,
            LateralSpreadingDeviceType="MAGNET",
        )
        for number, name in enumerate(("MagnetX", "MagnetY"), start=1)
    ]


def _magnet_settings() -> list[Dataset]:
    """They are in the beam without stopping it; their distances repeat the virtual source-axis distances."""
    return [
        item(
            ReferencedLateralSpreadingDeviceNumber=number,
            LateralSpreadingDeviceSetting="IN",
            LateralSpreadingDeviceWaterEquivalentThickness=0.0,
            IsocenterToLateralSpreadingDeviceDistance=distance,
        )
        for number, distance in enumerate(_SAD, start=1)
    ]


def _control_points(beam: Beam) -> list[Dataset]:
    """Return two per layer: the first delivers the spots, the second has the same spots without weight."""
    points: list[Dataset] = []
    delivered = 0.0
    for layer in beam.layers:
        for ends in (False, True):
            delivered = round(delivered + float(layer.weights.sum()), 4) if ends else delivered
            points.append(_control_point(len(points), layer, delivered, ends=ends))
    points[-1].CumulativeMetersetWeight = beam.final_cumulative_weight
    for keyword, value in _aim(beam).items():
        setattr(points[0], keyword, value)
    return points


def _control_point(index: int, layer: Layer, delivered: float, *, ends: bool) -> Dataset:
    weights = [0.0] * len(layer.weights) if ends else [float(w) for w in layer.weights]
    return item(
        ControlPointIndex=index,
        NominalBeamEnergy=layer.energy,
        CumulativeMetersetWeight=delivered,
        ScanSpotTuneID="DEMO",
        NumberOfScanSpotPositions=len(layer.weights),
        ScanSpotPositionMap=[float(mm) for mm in layer.spots.ravel()],
        ScanSpotMetersetWeights=weights,
        ScanningSpotSize=list(_SPOT_SIZE),
        NumberOfPaintings=1,
        **(
            {"RangeShifterSettingsSequence": [_shifter_setting(one) for one in layer.shifters]}
            if layer.shifters
            else {}
        ),
    )


def _aim(beam: Beam) -> dict[str, object]:
    """Return the elements of the first control point."""
    angles = {
        "GantryAngle": beam.gantry_angle,
        "BeamLimitingDeviceAngle": 0.0,
        "PatientSupportAngle": beam.couch_angle,
    }
    still = {keyword.replace("Angle", "RotationDirection"): "NONE" for keyword in angles}
    return {
        **angles,
        **still,
        "GantryPitchAngle": None,
        "GantryPitchRotationDirection": "",
        "TableTopPitchAngle": 0.0,
        "TableTopPitchRotationDirection": "NONE",
        "TableTopRollAngle": 0.0,
        "TableTopRollRotationDirection": "NONE",
        "TableTopVerticalPosition": None,
        "TableTopLongitudinalPosition": None,
        "TableTopLateralPosition": None,
        "IsocenterPosition": list(beam.isocenter),
        "SnoutPosition": beam.snout_position,
        "MetersetRate": 100.0,
        "LateralSpreadingDeviceSettingsSequence": _magnet_settings(),
    }
