"""RayStation 14: as public phantom plans and structure sets show it.

Weights in MU, so that the final weight is the meterset; NominalBeamEnergyUnit; a range shifter numbered from 0, set in
the first control point alone; private groups 300B and 4001. Structures have labels, numbered contours, a point of
interest, and for the couch all properties of its material. Doses are RBE-weighted; outside the structures of the
patient and its supports RayStation computes nothing, whatever the CT shows there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft, Writer
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.vendors import plans
from mqi_communicator.demo.vendors.appearance import Appearance, digits, dress
from mqi_communicator.demo.vendors.doses import weigh

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANUFACTURER = "RaySearch Laboratories"
_ROOT = "1.2.752.243.1.1.20200101120000"
_PMMA = ((1, 0.080538), (6, 0.599848), (8, 0.319614))  # atomic numbers, and fractions of the mass
_NAMES = {"RTPLAN": "RP", "RTDOSE": "RD", "RTSTRUCT": "RS"}


def _uid(kind: str, old: str) -> str:
    last = ".1" if kind == "series" else ""
    return f"{_ROOT}{digits(old, 3)}.{digits('2' + old, 4)}.{digits('3' + old, 5)}{last}"


LOOK = Appearance(
    manufacturer=MANUFACTURER,
    model="RayStation",
    software="14.0.0.3338 (Dicom Export)",
    writer=Writer("1.2.826.0.1.3680043.1.2.100.8.40.1101.0", "DicomObjects.NET", implicit=True),
    uid=_uid,
    file_name=lambda modality, uid: f"{_NAMES.get(modality, modality)}{uid}.dcm",
)


def rewrite(draft: Draft) -> None:
    """Write the case as RayStation does."""
    if "RP.dcm" in draft.files:
        rewrite_plan(plans.bare_plan(draft))
    if "RS.dcm" in draft.files:
        _rewrite_structures(draft.object("RS.dcm"))
    weigh(draft)
    for dose in draft.objects("RD."):
        dose.DoseComment, dose.TissueHeterogeneityCorrection = "/DPBNUM=X1\r\n/MCOPT=F1", ["IMAGE", "ROI_OVERRIDE"]
    dress(draft, LOOK)


def rewrite_plan(plan: Dataset) -> None:
    """A plan of spots."""
    plans.weigh_in_mu(plan)
    plans.refer_to_prescription(plan, f"1.2.752.243.{digits(plan.SOPInstanceUID, 48)}")
    plans.add_couch_and_snout(plan)
    plans.snout_limits(plan)
    plan.TreatmentProtocols, plan.PrescriptionDescription = "PencilBeamScanning", "MQI SAMPLE"
    plan.ReviewDate, plan.ReviewTime, plan.ReviewerName = "", "", ""
    plan.pop("IonToleranceTableSequence", None)
    for setup in plan.PatientSetupSequence:
        setup.pop("SetupTechnique", None)
    ray = plan.private_block(0x4001, "RAYSEARCHLABS 2.0", create=True)
    for offset, value in ((0x60, b"1.0 "), (0x61, bytes(range(20))), (0x73, b"")):
        ray.add_new(offset, "UN", value)
    for beam, _, points in plans.beams_of(plan):
        beam.Manufacturer, beam.ManufacturerModelName = "Generic", "Varian"
        for keyword in ("ReferencedToleranceTableNumber", "ModulatedScanModeType", "InstitutionName"):
            beam.pop(keyword, None)
        model = beam.private_block(0x4001, "RAYSEARCHLABS 2.0", create=True)
        for offset, value in ((0x02, b"Constant 1.1"), (0x33, b"RBE_NOT_INCLUDED")):
            model.add_new(offset, "UN", value)
        for point in points:
            point.NominalBeamEnergyUnit, point.ScanSpotTuneID = "MEV", "4.0"
        points[0].GantryPitchAngle, points[0].GantryPitchRotationDirection = 0.0, "NONE"
        _set_shifters_once(beam, points)


def _set_shifters_once(beam: Dataset, points: list[Dataset]) -> None:
    for number, shifter in enumerate(beam.get("RangeShifterSequence") or ()):
        shifter.RangeShifterNumber, shifter.RangeShifterDescription = number, shifter.RangeShifterID
        points[0].RangeShifterSettingsSequence[number].ReferencedRangeShifterNumber = number
        for point in points[1:]:
            point.pop("RangeShifterSettingsSequence", None)


def _rewrite_structures(structures: Dataset) -> None:
    for roi, seen in zip(structures.StructureSetROISequence, structures.RTROIObservationsSequence, strict=True):
        seen.ROIObservationLabel = str(roi.ROIName)[:16]
        if "ROIPhysicalPropertiesSequence" in seen:
            seen.ROIPhysicalPropertiesSequence.append(_composition())
            seen.MaterialID = "PMMA"
    for roi in structures.ROIContourSequence:
        for number, contour in enumerate(roi.ContourSequence):
            contour.ContourNumber = number
    _add_point(structures)


def _composition() -> Dataset:
    return item(
        ROIPhysicalProperty="ELEM_FRACTION",
        ROIPhysicalPropertyValue=0,
        ROIElementalCompositionSequence=[
            item(ROIElementalCompositionAtomicNumber=number, ROIElementalCompositionAtomicMassFraction=fraction)
            for number, fraction in _PMMA
        ],
    )


def _add_point(structures: Dataset) -> None:
    """The point by which the patient is positioned."""
    number = 1 + max(int(roi.ROINumber) for roi in structures.StructureSetROISequence)
    first = structures.StructureSetROISequence[0]
    drawn = structures.ROIContourSequence[0].ContourSequence[0]
    structures.StructureSetROISequence.append(
        item(
            ROINumber=number,
            ReferencedFrameOfReferenceUID=first.ReferencedFrameOfReferenceUID,
            ROIName="Localization point",
            ROIGenerationAlgorithm="SEMIAUTOMATIC",
        )
    )
    point = item(
        ContourImageSequence=list(drawn.ContourImageSequence),
        ContourGeometricType="POINT",
        NumberOfContourPoints=1,
        ContourNumber=0,
        ContourData=list(drawn.ContourData)[:3],
    )
    structures.ROIContourSequence.append(
        item(ReferencedROINumber=number, ROIDisplayColor=[255, 255, 0], ContourSequence=[point])
    )
    structures.RTROIObservationsSequence.append(
        item(
            ObservationNumber=number,
            ReferencedROINumber=number,
            ROIObservationLabel="Localization poi",
            RTROIInterpretedType="MARKER",
            ROIInterpreter="",
        )
    )
