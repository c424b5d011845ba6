"""Changes that put an aperture into the first beam of a correct case, as planning systems write it.

The planned dose stays that of the open beam: it is right only where it is computed anew with the aperture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_images import item

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Corners = Sequence[tuple[float, float]]  # mm in the isocentre plane
_L_SHAPE: Corners = ((-22.0, -25.0), (30.0, -25.0), (30.0, 4.0), (6.0, 4.0), (6.0, 31.0), (-22.0, 31.0))
_SQUARE: Corners = ((12.0, 10.0), (30.0, 10.0), (30.0, 28.0), (12.0, 28.0))
_STEP = 2.0  # mm between the points of an outline
_TRAY, _THICKNESS = 300.0, 65.0  # mm


def aperture(draft: Draft) -> None:
    """One opening, the block on the source's side of its tray."""
    _put(draft, _block(1, _L_SHAPE, "SOURCE_SIDE"))


def on_the_patients_side(draft: Draft) -> None:
    """One opening, the block on the patient's side of its tray."""
    _put(draft, _block(1, _L_SHAPE, "PATIENT_SIDE"))


def two_openings(draft: Draft) -> None:
    """Two blocks on one tray."""
    _put(draft, _block(1, _L_SHAPE, "SOURCE_SIDE"), _block(2, _SQUARE, "SOURCE_SIDE"))


def wrong_count(draft: Draft) -> None:
    """BlockNumberOfPoints is not the number of points."""
    block = _block(1, _L_SHAPE, "SOURCE_SIDE")
    block.BlockNumberOfPoints = 6
    _put(draft, block)


def _put(draft: Draft, *blocks: Dataset) -> None:
    beam = draft.object("RP.dcm").IonBeamSequence[0]
    beam.NumberOfBlocks, beam.IonBlockSequence = len(blocks), list(blocks)


def _block(number: int, corners: Corners, mounting: str) -> Dataset:
    outline = _outline(corners)
    return item(
        BlockTrayID="SNOUT",
        AccessoryCode="",
        IsocenterToBlockTrayDistance=_TRAY,
        BlockType="APERTURE",
        BlockDivergence="ABSENT",
        BlockMountingPosition=mounting,
        BlockNumber=number,
        BlockName=f"Aperture {number}",
        MaterialID="BRASS",
        BlockThickness=_THICKNESS,
        BlockNumberOfPoints=len(outline) // 2,
        BlockData=outline,
    )


def _outline(corners: Corners) -> list[float]:
    """The points along an outline, x and y in turn, as a contour that was drawn has them."""
    found: list[float] = []
    for (x0, y0), (x1, y1) in pairwise((*corners, corners[0])):
        steps = max(1, round(float(np.hypot(x1 - x0, y1 - y0)) / _STEP))
        for share in np.arange(steps) / steps:
            found += [round(x0 + share * (x1 - x0), 3), round(y0 + share * (y1 - y0), 3)]
    return found
