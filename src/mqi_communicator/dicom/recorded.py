"""Records of what a machine recorded of a delivery: delivery, beams, layers, spots. Lengths in mm, MU, MeV.

Positions are in the IEC gantry system at the isocentre, as in a plan. All records are frozen; arrays must not be
written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TREATMENT, CONTINUATION = "TREATMENT", "CONTINUATION"
"""TreatmentDeliveryType (300A,00CE): a beam from its beginning, and one that was resumed."""

NORMAL = "NORMAL"
"""TreatmentTerminationStatus (3008,002A) of a beam that was delivered to its end."""


@dataclass(frozen=True, slots=True)
class RecordedLayer:
    """Spots of one energy in the order of delivery. A layer of the plan may be recorded in several of these."""

    energy: float  # MeV
    positions: NDArray[np.float64]  # (n, 2) mm: x, y
    mu: NDArray[np.float64]  # (n,) MU
    indices: NDArray[np.int64] | None  # (n,) ScanSpotPrescribedIndices (300A,0391) as written; None: not recorded
    in_order: bool  # whether the spots were delivered in the order of the plan: ScanSpotReordered (300A,0393) is NO
    size: tuple[float, float] | None  # mm, FWHM x, y: ScanningSpotSize (300A,0398); None: not recorded
    paintings: NDArray[np.int64] | None = None  # (n,): of a continuous log, which has pieces of the way for spots
    given: NDArray[np.float64] | None = None  # (k, 2) mm: the positions that the machine was given, where logged


@dataclass(frozen=True, slots=True)
class RecordedBeam:
    """One beam of a delivery, or a part of it between interruptions."""

    number: int  # ReferencedBeamNumber (300C,0006): BeamNumber of the plan
    fraction: int | None  # CurrentFractionNumber (3008,0022); None: not recorded
    kind: str  # TREATMENT or CONTINUATION
    termination: str  # NORMAL, OPERATOR, MACHINE or UNKNOWN
    layers: tuple[RecordedLayer, ...]

    @property
    def mu(self) -> float:
        """The MU of all spots, test pulses among them."""
        return float(sum(layer.mu.sum() for layer in self.layers))


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """One session as a machine recorded it."""

    uid: str  # SOPInstanceUID of the record; of logs, plan, beam and time
    digest: str  # SHA-256 of the content: a copy has the same
    source: str  # name of the file or folder, fit for a message; never logged
    plan_uid: str  # SOPInstanceUID of the plan
    machine: str  # TreatmentMachineName (300A,00B2); "" if it is not recorded
    started: str  # date and time, YYYYMMDDHHMMSS as far as recorded; "" if it is not
    beams: tuple[RecordedBeam, ...]
    patient_id: str = field(default="", repr=False)  # never logged; "" if it is not recorded
    not_to_judge: tuple[str, ...] = ()  # reasons, as sentences with what to do: a calibration that nobody commissioned
