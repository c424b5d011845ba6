"""How much of moqui's dense air a beam crosses before the patient.

At -1000 HU moqui's default calibration has 0.0113 g/cm3 (0.00121 times its density correction of 9.35), where real air
has 0.0012. Air between the edge of the CT that is sent and the skin therefore shortens the range, by about 1 mm per
100 mm. Upstream of that CT, and of the protons' start within it, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.records import CTVolume
from mqi_communicator.dose.rays import BeamPath, heights_across, voxels_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

DENSITY = 0.0113  # g/cm3, and so, closely enough, mm of water per mm
_AIR, _SOLID = -900.0, -600.0  # HU: at most, and more than
_RAYS = 300  # of a beam
_STEP = 1.0  # mm along a ray
_BODY = 10  # consecutive solid steps: a mask or the cover of a couch is thinner than a patient


def air_cautions(ct: CTVolume, beam_paths: Sequence[tuple[BeamPath, float]], limit: float) -> Iterator[Caution]:
    """One per beam that meets the patient: the water equivalent in mm of moqui's air on the ray with most of it.

    `ct`: as it is sent. `beam_paths`: each beam's rays, and the height in mm above the isocentre where they begin.
    `limit`: mm of water above which the beam is for review.
    """
    for beam_path, start in beam_paths:
        path = _most_air(ct, beam_path, start)
        if path is None:
            continue
        water = path * DENSITY
        over = water > limit
        note = (
            f"up to {path:.0f} mm of air between the edge of the CT as it is sent and the skin are equivalent "
            f"to {water:.2f} mm of water in moqui"
        )
        yield Caution(
            "engine_air",
            f"beam {beam_path.number}",
            f"{note}, nine times real air: its range may be that much too short" if over else note,
            review=over,
            value=round(water, 3),
            unit="mm",
            limit=f"at most {limit:g} mm of water",
        )


def _most_air(ct: CTVolume, beam_path: BeamPath, start: float) -> float | None:
    """The longest path in air, in mm, of any ray of the beam before the patient; None if none meets the patient."""
    heights = heights_across(beam_path, ct.grid, _STEP)
    heights = heights[heights <= start]
    if not len(heights):
        return None
    spots = beam_path.sample(_RAYS)
    (z, y, x), inside = voxels_at(beam_path.points(spots, heights), ct.grid)
    hu = ct.hu[z, y, x]
    before = _before_the_body(inside & (hu > _SOLID))
    met = ~before[:, -1]
    if not met.any():
        return None
    stretch = np.sqrt(1 + (spots[:, 0] / beam_path.sad[0]) ** 2 + (spots[:, 1] / beam_path.sad[1]) ** 2)
    paths = (inside & before & (hu <= _AIR)).sum(axis=1) * stretch * _STEP
    return float(paths[met].max())


def _before_the_body(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rays, steps): whether the body, a row of `_BODY` solid steps, begins later."""
    if solid.shape[1] < _BODY:
        return np.ones_like(solid)
    counted = np.cumsum(np.pad(solid, ((0, 0), (1, 0))), axis=1)
    begins = np.zeros_like(solid)
    begins[:, : solid.shape[1] - _BODY + 1] = counted[:, _BODY:] - counted[:, :-_BODY] == _BODY
    return ~np.logical_or.accumulate(begins, axis=1)
