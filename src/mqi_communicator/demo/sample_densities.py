"""Changes to the densities of a correct case: structures with properties of their own, and a couch."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_images import item

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_Box = tuple[float, float, float, float]  # x and y in mm: from, to, from, to
_COUCH: _Box = (-120.0, 140.0, -50.0, -30.0)  # below the patient, beside the left beam
_ON_SKIN: _Box = (-30.0, 50.0, -240.0, -218.0)  # above the patient, in the path of the anterior beam
_CARBON = {"REL_MASS_DENSITY": 0.35, "REL_ELEC_DENSITY": 0.31, "MEAN_EXCI_ENERGY": 78.0}
_WATER = {"REL_MASS_DENSITY": 1.02, "REL_ELEC_DENSITY": 0.9915, "MEAN_EXCI_ENERGY": 70.2, "ELEM_FRACTION": 0.0}
_COUCH_HU = 100


def couch(draft: Draft) -> None:
    """A couch with the densities of carbon fibre and foam, drawn beyond the CT's last slice."""
    _add(draft, "Couch", "SUPPORT", _COUCH, _CARBON, beyond=3)


def external_water(draft: Draft) -> None:
    """The properties that RayStation writes for an EXTERNAL of water."""
    _give(draft, 0, _WATER)


def bolus_density(draft: Draft) -> None:
    """A bolus on the skin, named by the anterior beam. The planned dose does not have it."""
    number = _add(draft, "Gel", "BOLUS", _ON_SKIN, {"REL_STOP_RATIO": 1.02})
    beam = draft.object("RP.dcm").IonBeamSequence[0]
    beam.NumberOfBoli = 1
    beam.ReferencedBolusSequence = [item(ReferencedROINumber=number, AccessoryCode="")]


def unnamed_bolus(draft: Draft) -> None:
    """The same bolus, named by no beam."""
    _add(draft, "Gel", "BOLUS", _ON_SKIN, {"REL_STOP_RATIO": 1.02})


def overlap(draft: Draft) -> None:
    """Two implants of different ratios in the path of the anterior beam."""
    x0, x1, y0, y1 = _ON_SKIN
    _add(draft, "Implant A", "ORGAN", (x0, x1, y0 + 30, y1 + 30), {"REL_STOP_RATIO": 1.1})
    _add(draft, "Implant B", "ORGAN", (x0, x1, y0 + 40, y1 + 40), {"REL_STOP_RATIO": 1.2})


def metal(draft: Draft) -> None:
    """Platinum in the target: no curve of a CT reaches it."""
    _give(draft, 1, {"REL_STOP_RATIO": 12.0})


def forgotten_couch(draft: Draft) -> None:
    """A plate in the CT, above the patient, that the structure set does not have."""
    x0, x1, y0, y1 = _ON_SKIN
    _, y, x = draft.size.ct.axes()
    plate = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None, :]
    for ct in draft.objects("CT."):
        pixels = np.frombuffer(ct.PixelData, dtype="<i2").reshape(plate.shape).copy()
        pixels[plate] = np.maximum(pixels[plate], _COUCH_HU)
        ct.PixelData = pixels.tobytes()


def _give(draft: Draft, index: int, properties: dict[str, float]) -> None:
    """Give a structure physical properties."""
    draft.object("RS.dcm").RTROIObservationsSequence[index].ROIPhysicalPropertiesSequence = [
        _property(name, value) for name, value in properties.items()
    ]


def _property(name: str, value: float) -> Dataset:
    one = item(ROIPhysicalProperty=name, ROIPhysicalPropertyValue=value)
    if name == "ELEM_FRACTION":  # water
        atoms = ((1, 0.1119), (8, 0.8881))
        one.ROIElementalCompositionSequence = [
            item(ROIElementalCompositionAtomicNumber=z, ROIElementalCompositionAtomicMassFraction=share)
            for z, share in atoms
        ]
    return one


def _add(draft: Draft, name: str, kind: str, box: _Box, properties: dict[str, float], beyond: int = 0) -> int:
    """Draw a box on all slices, and on as many beyond the last; return its ROINumber."""
    ds = draft.object("RS.dcm")
    number = len(ds.StructureSetROISequence) + 1
    roi, drawn, seen = (
        deepcopy(sequence[0])
        for sequence in (ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence)
    )
    roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber = number, name, number
    seen.ObservationNumber, seen.ReferencedROINumber, seen.RTROIInterpretedType = number, number, kind
    (x0, x1, y0, y1), levels = box, draft.size.ct.axes()[0].tolist()
    levels += [levels[-1] + draft.size.ct.spacing[2] * (k + 1) for k in range(beyond)]
    drawn.ContourSequence = [
        item(
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=4,
            ContourData=[x0, y0, z, x1, y0, z, x1, y1, z, x0, y1, z],
        )
        for z in (round(z, 4) for z in levels)
    ]
    ds.StructureSetROISequence.append(roi)
    ds.ROIContourSequence.append(drawn)
    ds.RTROIObservationsSequence.append(seen)
    _give(draft, number - 1, properties)
    return number
