"""Eclipse with a Varian ProBeam: plans of ARIA RadOnc 16.1, as public phantom plans show them.

RN files; UIDs of Varian's root; implicit VR; weights whose sum is not the meterset; a dose reference with its share in
each control point; couch positions, an empty gantry pitch; private groups 3249, 3253, 3267 and 300B. Doses of 32 bit,
RBE-weighted. Beside them a structure without contours, a second frame of reference, a difference of doses.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft, Writer
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.sample_private import write_stream
from mqi_communicator.demo.vendors import plans
from mqi_communicator.demo.vendors.appearance import Appearance, digits, dress
from mqi_communicator.demo.vendors.doses import add_difference, weigh, widen

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANUFACTURER = "Varian Medical Systems"
_SERIAL = "402163639000"
_INSTANCE = {"RTPLAN": "5", "RTDOSE": "7", "RTSTRUCT": "4"}
_NAMES = {"RTPLAN": "RN", "RTDOSE": "RD", "RTSTRUCT": "RS", "REG": "RE"}
_XML = (
    '<?xml version="1.0" encoding="utf-8"?><ExtendedVAPlanInterface Version="1"><Beams>{}</Beams>'
    "</ExtendedVAPlanInterface>"
)
_BEAM = "<Beam><ReferencedBeamNumber>{}</ReferencedBeamNumber><Extensions /></Beam>"


def _uid(kind: str, old: str) -> str:
    if kind in ("study", "frame"):
        return f"1.2.246.352.205.{digits(old, 19)}.{digits('2' + old, 20)}"
    number = "2" if kind == "series" else _INSTANCE.get(kind, "3")
    return f"1.2.246.352.71.{number}.{_SERIAL}.{digits(old, 7)}.20200101120000"


LOOK = Appearance(
    manufacturer=MANUFACTURER,
    model="ARIA RadOnc",
    software="16.1.4",
    writer=Writer("1.2.246.352.70.2.1.160.3", "DCIE 16.1", implicit=True),
    uid=_uid,
    file_name=lambda modality, uid: f"{_NAMES.get(modality, modality)}.{uid}.dcm",
)


_PROBEAM = ("Varian Medical System Particle Therapy", "VPT")


def rewrite(draft: Draft, machine: tuple[str, str] = _PROBEAM) -> None:
    """Write the case as Eclipse does. `machine`: Manufacturer and ManufacturerModelName of the beams."""
    if "RP.dcm" in draft.files:
        _rewrite_plan(plans.bare_plan(draft), machine)
    if "RS.dcm" in draft.files:
        _rewrite_structures(draft.object("RS.dcm"), draft.uids.of("frame", "MR"))
    weigh(draft)
    add_difference(draft)
    widen(draft)
    dress(draft, LOOK)


def _rewrite_plan(plan: Dataset, machine: tuple[str, str]) -> None:
    plan.SpecificCharacterSet = "ISO_IR 192"
    plan.ApprovalStatus = "APPROVED"
    uid = f"1.2.246.352.71.10.{_SERIAL}.12305.20200101120000"
    plans.refer_to_prescription(plan, uid)
    prescription = plan.DoseReferenceSequence[0]
    prescription.private_block(0x3267, "Varian Medical Systems VISION 3267", create=True).add_new(0, "UN", b"Target")
    plan.IonToleranceTableSequence = [_tolerances()]
    plans.add_couch_and_snout(plan)
    plans.snout_limits(plan)
    for beam, reference, points in plans.beams_of(plan):
        beam.Manufacturer, beam.ManufacturerModelName = machine
        beam.pop("ModulatedScanModeType", None)
        block = reference.private_block(0x3249, "Varian Medical Systems VISION 3249", create=True)
        block.add_new(0x10, "UN", uid.encode() + bytes(len(uid) % 2))
        for point in points:
            _private(point)
        first = points[0]
        first.TableTopVerticalPosition, first.TableTopLongitudinalPosition = -307.4, 700.0
        first.TableTopLateralPosition = 0.0
    plan.private_block(0x300B, "IMPAC", create=True).add_new(0x08, "UN", b"v1")
    write_stream(plan, _XML.format("".join(_BEAM.format(beam.BeamNumber) for beam in plan.IonBeamSequence)))


def _private(point: Dataset) -> None:
    """The range of the layer in water, as Eclipse writes it (a fictitious value)."""
    point.ScanSpotTuneID = "4.0"
    block = point.private_block(0x300B, "IMPAC", create=True)
    block.add_new(0x17, "UN", struct.pack("<f", 0.0022 * float(point.NominalBeamEnergy) ** 1.77))


def _tolerances() -> Dataset:
    return item(
        ToleranceTableNumber=1,
        ToleranceTableLabel="T1",
        GantryAngleTolerance=0.5,
        BeamLimitingDeviceToleranceSequence=[
            item(BeamLimitingDevicePositionTolerance=0, RTBeamLimitingDeviceType=axis) for axis in ("X", "Y")
        ],
        SnoutPositionTolerance=5.0,
        PatientSupportAngleTolerance=3,
        TableTopPitchAngleTolerance=3.0,
        TableTopRollAngleTolerance=3.0,
        TableTopVerticalPositionTolerance=20,
        TableTopLongitudinalPositionTolerance=20,
        TableTopLateralPositionTolerance=20,
    )


def _rewrite_structures(structures: Dataset, other_frame: str) -> None:
    """A structure without contours, and the frame of another image that is registered."""
    number = 1 + max(int(roi.ROINumber) for roi in structures.StructureSetROISequence)
    frame = structures.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    structures.StructureSetROISequence.append(
        item(
            ROINumber=number,
            ReferencedFrameOfReferenceUID=frame,
            ROIName="CouchSurface",
            ROIGenerationAlgorithm="",
        )
    )
    structures.RTROIObservationsSequence.append(
        item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType="SUPPORT", ROIInterpreter="")
    )
    structures.ReferencedFrameOfReferenceSequence.append(item(FrameOfReferenceUID=other_frame))
