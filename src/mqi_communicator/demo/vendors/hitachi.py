"""A plan for a Hitachi PROBEAT: ScanMode MODULATED_SPEC with ModulatedScanModeType STATIONARY.

Otherwise as DICOM asks for it; no file of this system was at hand. Layers are painted more than once, which changes
nothing: the weights are those of all paintings together (PS3.3 C.8.8.25). Fields in the couch's system stay empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft, Writer
from mqi_communicator.demo.vendors import plans
from mqi_communicator.demo.vendors.appearance import Appearance, dress

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANUFACTURER = "Hitachi, Ltd."
_NAMES = {"RTPLAN": "RTIP", "RTDOSE": "RTDOSE", "RTSTRUCT": "RTSS"}
LOOK = Appearance(
    manufacturer=MANUFACTURER,
    model="VQA",
    software="6.0",
    writer=Writer(implicit=True),
    uid=lambda _kind, old: old,  # its form is not known
    file_name=lambda modality, uid: f"{_NAMES.get(modality, modality)}_{uid}.dcm",
)


def rewrite(draft: Draft) -> None:
    """Write the case as for a PROBEAT."""
    if "RP.dcm" in draft.files:
        _rewrite_plan(plans.bare_plan(draft))
    dress(draft, LOOK)


def _rewrite_plan(plan: Dataset) -> None:
    for beam, _, points in plans.beams_of(plan):
        beam.ScanMode, beam.ModulatedScanModeType = "MODULATED_SPEC", "STATIONARY"
        beam.Manufacturer, beam.ManufacturerModelName = MANUFACTURER, "PROBEAT"
        for point in points:
            point.NumberOfPaintings = 2
