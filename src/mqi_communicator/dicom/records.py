"""Records of a case's DICOM objects for the steps. Lengths in mm in the DICOM patient system (LPS+), dose in Gy.

Arrays are indexed [z, y, x], z ascending. All records are frozen; arrays must not be written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Grid:
    """A rectilinear grid, axes along those of the patient system. `origin` is the centre of voxel [0, 0, 0]."""

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
    sop_instance_uids: tuple[str, ...]  # by ascending position of the slices
    scanner: str  # "Manufacturer|ManufacturerModelName|StationName", parts may be empty
    position: str = "HFS"  # PatientPosition (0018,5100); "" if the CT has none
    kvp: tuple[float, ...] = ()  # KVP (0018,0060) of its slices in kV, each once; () if none has one
    notes: tuple[str, ...] = ()  # what the reader changed, as sentences: interpolated slices


@dataclass(frozen=True, slots=True)
class ShifterSetting:
    """How one range shifter is set for a layer (RangeShifterSettingsSequence (300A,0360)).

    An element that a control point lacks has the value of the control point before it.
    """

    id: str  # RangeShifterID (300A,0318)
    setting: str  # RangeShifterSetting (300A,0362): IN, OUT or a word of the machine; "" if the plan has none
    distance: float | None  # mm from the isocentre to the downstream edge, (300A,0364); None if the plan has none
    wet: float | None  # mm of water, RangeShifterWaterEquivalentThickness (300A,0366); None if the plan has none


FWHM = 2.3548200450309493  # of a Gaussian, in sigmas


class LayerKind(StrEnum):
    """How the weights of a layer are delivered."""

    SPOTS = "spots"  # each at its spot
    LINES = "lines"  # each evenly on the way from the spot before to its own; the first is 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One energy layer: a control point whose spots have weight."""

    energy: float  # MeV, NominalBeamEnergy (300A,0114)
    spots: NDArray[np.float64]  # (n, 2): x, y mm in the IEC gantry system at isocentre, ScanSpotPositionMap (300A,0394)
    weights: NDArray[np.float64]  # (n,): ScanSpotMetersetWeights (300A,0396), not yet MU
    kind: LayerKind = LayerKind.SPOTS
    cut: bool = False  # the spots are pieces of lines (`dose.prepare.lines`)
    shifters: tuple[ShifterSetting, ...] = ()  # as in the plan; see `dose.prepare.shifters` for a prepared plan
    size: tuple[float, float] | None = None  # mm, FWHM x, y in air at isocentre, ScanningSpotSize (300A,0398)


@dataclass(frozen=True, slots=True)
class Device:
    """A device in the beam, or that can be put there. Scanning magnets of spot scanning are none."""

    kind: str  # as in the rows of dose.abilities: "range shifter", "aperture", "shielding block", "bolus", "spreader"
    tag: str  # its element in the plan, for example "RangeShifterSequence (300A,0314)"
    description: str  # what it is and how it is set, as text


PATIENT_SIDE, SOURCE_SIDE = "PATIENT_SIDE", "SOURCE_SIDE"
MOUNTINGS = (PATIENT_SIDE, SOURCE_SIDE)  # BlockMountingPosition (300A,00FB)


@dataclass(frozen=True, slots=True)
class Aperture:
    """An aperture of the beam (IonBlockSequence (300A,03A6) with BlockType APERTURE)."""

    outlines: tuple[NDArray[np.float64], ...]  # openings: corners (n, 2), x, y mm projected to the isocentre plane
    distance: float  # mm from the isocentre to the downstream edge of the tray, (300A,00F7)
    mounting: str  # BlockMountingPosition (300A,00FB): PATIENT_SIDE or SOURCE_SIDE
    thickness: float  # mm, BlockThickness (300A,0100)
    material: str  # MaterialID (300A,00E1)

    @property
    def downstream(self) -> float:
        """The mm from the isocentre to the block's downstream edge. A tray is taken to be thin."""
        return self.distance - self.thickness if self.mounting == PATIENT_SIDE else self.distance


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a beam is delivered according to the plan. "" if the plan does not specify it."""

    kind: str = "TREATMENT"  # TreatmentDeliveryType (300A,00CE)
    radiation: str = "PROTON"  # RadiationType (300A,00C6)
    scan_mode: str = "MODULATED"  # ScanMode (300A,0308)
    scan_type: str = ""  # ModulatedScanModeType (300A,0309): STATIONARY, LEAPING, LINEAR
    private_spots: bool = False  # spots are in private elements (300B,xx94) alone, and ScanMode is not LINE
    paintings: int = 1  # NumberOfPaintings (300A,039A), the largest of the beam; weights are those of all together
    unit: str = "MU"  # PrimaryDosimeterUnit (300A,00B3)
    support: str = "TABLE"  # PatientSupportType (300A,0350)


@dataclass(frozen=True, slots=True)
class Motion:
    """A tilt of a beam or a change within it: the element, and a clause such as "is 3 degrees"."""

    tag: str
    description: str
    tilt: bool  # a constant angle other than 0 about another axis than gantry and couch; False: a change


@dataclass(frozen=True, slots=True)
class Beam:
    """One treatment beam. MU of a spot = weight * meterset / final_cumulative_weight.

    A number missing in the plan is NaN: the reader reports it as a problem.
    """

    number: int  # BeamNumber (300A,00C0); a number above all others if the plan's is below 1
    name: str
    machine: str  # TreatmentMachineName (300A,00B2)
    gantry_angle: float  # degrees, IEC 61217
    couch_angle: float  # PatientSupportAngle, degrees, IEC 61217
    isocenter: tuple[float, float, float]  # mm
    meterset: float  # BeamMeterset (300A,0086), MU per fraction
    final_cumulative_weight: float  # FinalCumulativeMetersetWeight (300A,010E)
    layers: tuple[Layer, ...]
    snout_position: float | None = None  # SnoutPosition (300A,030D), mm from the isocentre; None: the plan has none
    position: str = "HFS"  # PatientPosition (0018,5100) of the beam's patient setup; "" if the plan has none
    delivery: Delivery = Delivery()
    devices: tuple[Device, ...] = ()
    apertures: tuple[Aperture, ...] = ()
    limiting_angle: float = 0.0  # BeamLimitingDeviceAngle (300A,0120), degrees: of the apertures, not of the spots
    boli: tuple[int, ...] = ()  # ROINumbers of ReferencedBolusSequence (300C,00B0)
    sad: tuple[float, float] | None = None  # mm, VirtualSourceAxisDistances (300A,030A), x and y; None: not in the plan
    motions: tuple[Motion, ...] = ()
    plan_number: int | None = None  # the plan's BeamNumber if `number` differs

    @property
    def own_number(self) -> int:
        """BeamNumber of the plan, to which doses and records refer."""
        return self.number if self.plan_number is None else self.plan_number

    @property
    def mu_per_weight(self) -> float:
        """MU per unit of spot weight."""
        return self.meterset / self.final_cumulative_weight


@dataclass(frozen=True, slots=True)
class IonPlan:
    """An RT Ion Plan (PS3.3 A.49) of one fraction group, treatment beams only, in plan order."""

    sop_instance_uid: str
    frame_of_reference_uid: str
    structure_set_uid: str
    label: str  # RTPlanLabel; may contain anything that a user typed: never logged
    manufacturer: str
    fractions: int  # NumberOfFractionsPlanned
    beams: tuple[Beam, ...]
    file: str = ""  # the file's name, fit for a message; never logged
    model: str = ""  # ManufacturerModelName and SoftwareVersions of the planning system
    approval: str = ""  # ApprovalStatus (300E,0002)
    intent: str = ""  # PlanIntent (300A,000A)
    study_uid: str = ""  # StudyInstanceUID (0020,000D)
    patient_id: str = field(default="", repr=False)  # PatientID (0010,0020); never logged

    def number_of(self, own_number: int) -> int | None:
        """Return `Beam.number` of the beam with this BeamNumber in the plan; None if there is none."""
        return next((beam.number for beam in self.beams if beam.own_number == own_number), None)


class Medium(StrEnum):
    """The medium in which dose is absorbed."""

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
class DoseType:
    """The type of a dose. `Dose.beam_number` is its scope."""

    medium: Medium
    biology: Biology
    extent: Extent


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose on a grid, in Gy."""

    grid: Grid
    gy: NDArray[np.float32]
    dose_type: DoseType
    beam_number: int | None  # None: the whole plan
    uncertainty: float | None = (
        None  # relative (1 sigma), mean where dose >= 50 % of maximum; None: engine reports none
    )
