"""What the stations know of a case's DICOM objects. Lengths in mm in the DICOM patient system (LPS+), dose in Gy.

Arrays are indexed [z, y, x], z ascending. All records are frozen; arrays must not be written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Grid:
    """A rectilinear grid, axes along the patient axes (HFS). `origin` is the centre of voxel [0, 0, 0]."""

    shape: tuple[int, int, int]  # (nz, ny, nx)
    origin: tuple[float, float, float]  # (x, y, z) mm
    spacing: tuple[float, float, float]  # (dx, dy, dz) mm, all positive

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Voxel centres along (z, y, x), in mm."""
        import numpy as np

        nz, ny, nx = self.shape
        x, y, z = self.origin
        dx, dy, dz = self.spacing
        return (
            z + dz * np.arange(nz, dtype=np.float64),
            y + dy * np.arange(ny, dtype=np.float64),
            x + dx * np.arange(nx, dtype=np.float64),
        )


@dataclass(frozen=True, slots=True)
class CTVolume:
    """A CT series as one volume of Hounsfield units (float32)."""

    grid: Grid
    hu: NDArray[np.float32]
    frame_of_reference_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]  # by ascending z
    scanner: str  # "Manufacturer|ManufacturerModelName|StationName", parts may be empty


@dataclass(frozen=True, slots=True)
class Layer:
    """One energy layer: a pair of control points of which the first delivers."""

    energy: float  # MeV, NominalBeamEnergy (300A,0114)
    spots: NDArray[np.float64]  # (n, 2): x, y mm in the IEC gantry system at isocentre, ScanSpotPositionMap (300A,0394)
    weights: NDArray[np.float64]  # (n,): ScanSpotMetersetWeights (300A,0396), not yet MU


@dataclass(frozen=True, slots=True)
class Beam:
    """One treatment beam. MU of a spot = weight * meterset / final_cumulative_weight."""

    number: int  # BeamNumber (300A,00C0), the plan's own
    name: str
    machine: str  # TreatmentMachineName (300A,00B2)
    gantry_angle: float  # degrees, IEC 61217
    couch_angle: float  # PatientSupportAngle, degrees, IEC 61217
    isocenter: tuple[float, float, float]  # mm
    meterset: float  # BeamMeterset (300A,0086), MU per fraction
    final_cumulative_weight: float  # FinalCumulativeMetersetWeight (300A,010E)
    layers: tuple[Layer, ...]
    snout_position: float | None = None  # SnoutPosition (300A,030D), mm from the isocentre; None: the plan names none

    @property
    def mu_per_weight(self) -> float:
        """MU that one unit of spot weight stands for."""
        return self.meterset / self.final_cumulative_weight


@dataclass(frozen=True, slots=True)
class IonPlan:
    """An RT Ion Plan (PS3.3 A.49) of one fraction group, treatment beams only, in plan order."""

    sop_instance_uid: str
    frame_of_reference_uid: str
    structure_set_uid: str
    label: str  # RTPlanLabel; may hold anything a person typed: never logged
    manufacturer: str
    fractions: int  # NumberOfFractionsPlanned
    beams: tuple[Beam, ...]


class Medium(StrEnum):
    """What dose is absorbed in."""

    MEDIUM = "medium"
    WATER = "water"


class Biology(StrEnum):
    """Absorbed dose, or weighted by a relative biological effectiveness."""

    PHYSICAL = "physical"
    RBE = "rbe"


class Extent(StrEnum):
    """One fraction, or the whole course."""

    FRACTION = "fraction"
    COURSE = "course"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a dose is a dose of. Scope is carried by `Dose.beam_number`."""

    medium: Medium
    biology: Biology
    extent: Extent


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose on a grid, in Gy."""

    grid: Grid
    gy: NDArray[np.float32]
    meaning: Meaning
    beam_number: int | None  # None: the whole plan
    uncertainty: float | None = (
        None  # relative (1 sigma), mean where dose >= 50 % of maximum; None: engine reports none
    )
