"""Line scanning with a Sumitomo machine: ScanMode LINE, positions and weights in private elements alone.

The elements are those of group 300B with the creator IMPAC; files are implicit VR, so their values arrive as bytes. The
plan is otherwise RayStation's; beam names end in ":TX".
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.vendors import plans, raystation
from mqi_communicator.demo.vendors.appearance import dress
from mqi_communicator.demo.vendors.doses import weigh

_STANDARD = (
    "ScanSpotTuneID",
    "NumberOfScanSpotPositions",
    "ScanSpotPositionMap",
    "ScanSpotMetersetWeights",
    "ScanningSpotSize",
    "NumberOfPaintings",
)


def rewrite(draft: Draft) -> None:
    """Write the case as for a Sumitomo machine."""
    if "RP.dcm" in draft.files:
        plan = plans.bare_plan(draft)
        raystation.rewrite_plan(plan)
        for beam, _, points in plans.beams_of(plan):
            beam.Manufacturer, beam.ManufacturerModelName = "Sumitomo Heavy Industries, Ltd.", "P235"
            beam.BeamName = f"{beam.BeamNumber}G{points[0].GantryAngle:g}:TX"
        plans.each_point(plan, _hide_lines)
    weigh(draft)
    dress(draft, raystation.LOOK)


def _hide_lines(point: Dataset) -> None:
    """Move what the standard elements have into the private ones."""
    block = point.private_block(0x300B, "IMPAC", create=True)
    block.add_new(0x90, "UN", b"4.0 ")
    block.add_new(0x92, "UN", _even(str(point.NumberOfScanSpotPositions)))
    for offset, values in (
        (0x94, point.ScanSpotPositionMap),
        (0x96, plans.many(point.ScanSpotMetersetWeights)),
        (0x98, point.ScanningSpotSize),
    ):
        block.add_new(offset, "UN", np.asarray(values, dtype="<f4").tobytes())
    block.add_new(0x9A, "UN", b"1 ")
    for keyword in _STANDARD:
        point.pop(keyword, None)


def _even(text: str) -> bytes:
    return (text + " " * (len(text) % 2)).encode()
