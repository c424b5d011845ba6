"""OpenTPS: one control point per layer, an empty patient position, weights in MU, no cumulative weights.

As its public example has it: Modality "RT Ion Plan IOD", beam, setup and fraction group numbered from 0, a range
shifter setting OUT without any range shifter, no source-axis distances, and its SOP Class UID as SOP Instance UID.
The dose is physical and of the plan alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement

from mqi_communicator.demo.sample_case import Draft, Writer
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.sample_plan import ION_PLAN
from mqi_communicator.demo.vendors import plans
from mqi_communicator.demo.vendors.appearance import Appearance, digits, dress

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANUFACTURER = "OpenMCsquare"
_MODALITY = "RT Ion Plan IOD"  # no value of a CS
LOOK = Appearance(
    manufacturer=MANUFACTURER,
    model="OpenTPS",
    software="10.0.100.1 (Dicom Export)",
    writer=Writer("1.2.826.0.1.3680043.1.2.100.6.40.0.76", "DicomObjects.NET", implicit=True),
    uid=lambda _kind, old: f"1.2.826.0.1.3680043.8.498.{digits(old, 38)}",
    file_name=lambda modality, uid: f"{'RTPLAN' if modality == _MODALITY else modality}_{uid}.dcm",
)
_ONCE = (
    "ReferencedToleranceTableNumber",
    "LateralSpreadingDeviceSequence",
    "ModulatedScanModeType",
    "Manufacturer",
    "InstitutionName",
)
_OF_FIRST_POINT = (
    "LateralSpreadingDeviceSettingsSequence",
    "TableTopPitchAngle",
    "TableTopPitchRotationDirection",
    "TableTopRollAngle",
    "TableTopRollRotationDirection",
    "GantryPitchAngle",
    "GantryPitchRotationDirection",
    "PatientSupportRotationDirection",
    "MetersetRate",
)


def rewrite(draft: Draft) -> None:
    """Write the case as OpenTPS does."""
    if "RP.dcm" in draft.files:
        _rewrite_plan(draft, plans.bare_plan(draft))
    for name in [name for name in draft.files if name.startswith("RD.beam")]:
        del draft.files[name]
    dress(draft, LOOK)


def _rewrite_plan(draft: Draft, plan: Dataset) -> None:
    plans.weigh_in_mu(plan)
    plans.one_point_per_layer(plan)
    plan["Modality"] = DataElement(plan["Modality"].tag, "CS", _MODALITY, validation_mode=IGNORE)
    plan.RTPlanLabel, plan.RTPlanName, plan.ApprovalStatus = "", "Sample", ""
    for keyword in ("PlanIntent", "IonToleranceTableSequence", "RTPlanDescription"):
        plan.pop(keyword, None)
    plan.FractionGroupSequence[0].FractionGroupNumber = 0
    setups = plan.PatientSetupSequence
    for number, setup in enumerate(setups):
        setup.PatientSetupNumber, setup.PatientPosition = number, ""
        setup.pop("SetupTechnique", None)
    for number, (beam, reference, points) in enumerate(plans.beams_of(plan)):
        beam.BeamNumber = reference.ReferencedBeamNumber = number
        beam.ReferencedPatientSetupNumber = number
        beam.VirtualSourceAxisDistances, beam.NumberOfLateralSpreadingDevices = [0.0, 0.0], 0
        _remove(beam, _ONCE)
        first = points[0]
        _remove(first, _OF_FIRST_POINT)
        first.SnoutPosition = 0.0
        first.TableTopVerticalPosition = first.TableTopLongitudinalPosition = first.TableTopLateralPosition = 0
        first.RangeShifterSettingsSequence = [
            item(RangeShifterSetting="OUT", IsocenterToRangeShifterDistance=0.0, ReferencedRangeShifterNumber=0)
        ]
        for point in points:
            point.CumulativeMetersetWeight, point.ScanSpotTuneID = None, "0"
            point.pop("ScanningSpotSize", None)
    _use_class_uid(draft, plan)


def _remove(ds: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        ds.pop(keyword, None)


def _use_class_uid(draft: Draft, plan: Dataset) -> None:
    """Every plan has the same SOP Instance UID, and its doses refer to that."""
    for dose in draft.objects("RD."):
        for reference in dose.ReferencedRTPlanSequence:
            if reference.ReferencedSOPInstanceUID == plan.SOPInstanceUID:
                reference.ReferencedSOPInstanceUID = ION_PLAN
    plan.SOPInstanceUID = plan.SeriesInstanceUID = ION_PLAN
