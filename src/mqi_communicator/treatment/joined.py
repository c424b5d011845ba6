"""Records of a delivery that was joined to its plan: each recorded spot with the spot of the plan it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mqi_communicator.dicom.recorded import RecordedBeam, RecordedDelivery
from mqi_communicator.dicom.records import Beam

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


class Pairing(StrEnum):
    """By what recorded spots were assigned to those of the plan."""

    INDICES = "indices"  # ScanSpotPrescribedIndices (300A,0391)
    ORDER = "order"  # ScanSpotReordered (300A,0393) is NO, and the record begins with the first spot
    NEAREST = "nearest"  # nothing is recorded: the nearest spot of the plan
    WAY = "way"  # a continuous log: the place on the planned way (`treatment.paths`)


@dataclass(frozen=True, slots=True)
class JoinedLayer:
    """The recorded spots of one layer of the plan. Without a partner are test pulses and spots that nobody planned.

    Of a continuous log they are pieces, and the spots of the plan are parts of its way (`treatment.paths`).
    """

    index: int  # of the plan's layer, from 0
    energy: float  # MeV, of the plan
    spots: Doubles  # (n, 2) mm, planned
    mu: Doubles  # (n,) planned MU
    size: tuple[float, float] | None  # mm, FWHM x, y of the plan
    recorded: Doubles  # (m, 2) mm
    recorded_mu: Doubles  # (m,) MU
    recorded_sizes: Doubles  # (m, 2) mm, FWHM x, y; NaN where not recorded
    partner: NDArray[np.int64]  # (m,) index of the planned spot; -1: none
    offsets: Doubles  # (m, 2) mm: recorded minus planned position; NaN without a partner
    delivered: Doubles  # (n,) MU recorded of each planned spot
    pairing: Pairing


@dataclass(frozen=True, slots=True)
class JoinedBeam:
    """One recorded beam, or a part of it between interruptions, with the plan's beam."""

    delivery: RecordedDelivery
    recorded: RecordedBeam
    planned: Beam
    layers: tuple[JoinedLayer, ...]  # those that were recorded, in the order of the plan
