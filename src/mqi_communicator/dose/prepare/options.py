"""Settings of the preparation that no engine has: what a planning system computed with, and what a site accepts."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.dicom.configured import DicomText

OUTSIDE = "outside_body/"  # prefix of entries of the recipe


class Severity(StrEnum):
    """What a property of a plan leads to."""

    NOTE = "note"
    REVIEW = "review"
    REFUSE = "refuse"


class Outside(StrEnum):
    """What is outside the body in the CT that a dose is computed in."""

    AIR = "air"
    AS_SCANNED = "as_scanned"


class PreparationOptions(BaseModel):
    """How a plan and its CT are prepared for the engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rejected: Severity = Field(
        default=Severity.REFUSE, description="A plan with ApprovalStatus REJECTED: `note`, `review` or `refuse`."
    )
    not_approved: Severity = Field(
        default=Severity.NOTE, description="A plan with another ApprovalStatus than APPROVED, or none."
    )
    other_intent: Severity = Field(
        default=Severity.NOTE,
        description="A plan whose PlanIntent is not the treatment of a patient (VERIFICATION, MACHINE_QA, RESEARCH, "
        "SERVICE).",
    )
    outside_body: dict[DicomText, Outside] = Field(
        default_factory=dict,
        description="What the planning system computes outside the body (outside EXTERNAL, SUPPORT, FIXATION and the "
        "boli of the beams), by its Manufacturer: `air`, or `as_scanned` for the CT as it is (the default).",
    )
    overlaps: tuple[DicomText, ...] = Field(
        default=(),
        description="Names of structures (or patterns such as `Couch*`), the most important first: where two "
        "structures with different densities overlap, the first of them counts. Other overlaps are refused.",
    )
    expected_overrides: tuple[DicomText, ...] = Field(
        default=(),
        description="Names or patterns of structures whose densities your centre overrides as a routine, such as "
        "couches. Others that change a beam's path by more than 2 mm of water are for review.",
    )
    water_ev: float = Field(
        default=75.3,
        ge=65,
        le=85,
        description="Mean excitation energy of water in the planning system, in eV (78 in ICRU 90). It turns electron "
        "densities of structures into stopping powers.",
    )

    def outside(self, manufacturer: str) -> Outside:
        """What this planning system computes outside the body."""
        known = {planning_system(name): one for name, one in self.outside_body.items()}
        return known.get(planning_system(manufacturer), Outside.AS_SCANNED)

    def is_expected(self, name: str) -> bool:
        """Whether a density of the structure of this name is the centre's routine."""
        return any(fnmatchcase(name, pattern) for pattern in self.expected_overrides)

    def rank(self, name: str) -> int:
        """The place of a structure in `overlaps`; behind the last if it is not there."""
        return next((i for i, one in enumerate(self.overlaps) if fnmatchcase(name, one)), len(self.overlaps))

    def recipe(self) -> dict[str, str]:
        """The settings that determine a dose. Those for one planning system are named `outside_body/MANUFACTURER`."""
        outside = {f"{OUTSIDE}{planning_system(name)}": one.value for name, one in self.outside_body.items()}
        return {"water_ev": f"{self.water_ev:g} eV", "overlaps": ", ".join(self.overlaps) or "refused", **outside}


def planning_system(manufacturer: str) -> str:
    """A Manufacturer (0008,0070) as it is compared: upper and lower case are equal."""
    return manufacturer.strip().casefold()
