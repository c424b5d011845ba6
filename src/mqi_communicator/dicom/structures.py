"""Reading an RTSTRUCT: which CT it is drawn on, and that nothing in it changes what the dose is computed in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.dicom.problem import DicomProblem, shown
from mqi_communicator.dicom.reading import open_dicom
from mqi_communicator.dicom.structure_references import CONTOURS, ct_slices_of, frames_of, names_images
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from pydicom import Dataset

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_TAGS = (0x00080016, 0x00080018, 0x30060010, 0x30060020, 0x30060080)


@dataclass(frozen=True, slots=True)
class StructureSet:
    """A structure set's identity and the CT slices it is drawn on."""

    sop_instance_uid: str
    frame_of_reference_uid: str
    ct_uids: tuple[str, ...]  # SOP Instance UIDs


def read_structures(path: Path, limits: Limits | None = None) -> StructureSet:
    """The structure set in `path`.

    DicomProblem if it is something else, names no CT slice or several frames of reference, or overrides a density.
    """
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None or opened.sop_class_uid != _STRUCTURE_SET:
            raise DicomProblem(f"{shown(path.name)} is not an RT Structure Set", "Export the structure set again.")
        data = opened.parse(opened.spans(), _TAGS)
        if not names_images(data):
            data = opened.parse(opened.spans(), (*_TAGS, CONTOURS))
        slices, frame = ct_slices_of(data), next(iter(frames_of(data)), "")
        if not slices:
            raise DicomProblem(
                f"{opened.name} names no CT slice in (3006,0016), so nobody can tell when its CT is complete",
                "Export the structure set with the references to its CT images.",
                "structures.no_ct",
            )
        if not frame:
            raise DicomProblem(
                f"{opened.name} is drawn in no frame of reference or in several (3006,0010); expected exactly one",
                "Export the structure set of the planning CT alone.",
                "structures.frames",
            )
        _refuse_density_overrides(data, opened.name)
        return StructureSet(str(data.SOPInstanceUID), frame, slices)


def _refuse_density_overrides(data: Dataset, name: str) -> None:
    """A density the planner typed in (3006,00B0) is not in the CT: computing without it would be another dose."""
    names = {str(roi.ROINumber): str(roi.get("ROIName", "")) for roi in data.get("StructureSetROISequence", ())}
    overridden = [
        str(item.ReferencedROINumber)
        for item in data.get("RTROIObservationsSequence", ())
        if item.get("ROIPhysicalPropertiesSequence")
    ]
    if overridden:
        said = ", ".join(f"{number} ({shown(names.get(number, ''))})" for number in dict.fromkeys(overridden))
        raise DicomProblem(
            f"{name} overrides the density of structure {said} (3006,00B0); density overrides are not computed",
            "Recalculate the plan without density overrides.",
            "structures.density_override",
        )
