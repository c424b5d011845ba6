"""Settings of the checks: tolerances, per machine if needed, and the dose types of planning systems."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mqi_communicator.dicom.configured import DicomText
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Medium
from mqi_communicator.results.clinical_goals import ClinicalGoals
from mqi_communicator.results.delivery_options import STRICTER_FIRST, DeliveryOptions

_STRICTER_FIRST = (  # section, pass limit, review limit, +1 where more is worse and -1 where more is better
    ("gamma", "pass_percent", "review_percent", -1),
    ("dose_scale", "pass_percent", "review_percent", 1),
    ("position_offset", "pass_mm", "review_mm", 1),
    ("range", "pass_mm", "review_mm", 1),
    ("range", "falloff_pass_mm", "falloff_review_mm", 1),
    ("penumbra", "pass_mm", "review_mm", 1),
    *STRICTER_FIRST,
)


class GammaOptions(BaseModel):
    """Global gamma; the planned dose is the reference and is normalised to its own maximum (TG-218)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dose_percent: float = Field(3.0, gt=0, le=20, description="Dose difference in % of the planned maximum.")
    distance_mm: float = Field(2.0, gt=0, le=20, description="Distance to agreement in mm.")
    cutoff_percent: float = Field(
        10.0, ge=0, lt=100, description="Low-dose cutoff: planned dose below this % of its maximum is excluded."
    )
    pass_percent: float = Field(95.0, ge=0, le=100, description="Pass at or above this % of points with gamma <= 1.")
    review_percent: float = Field(90.0, ge=0, le=100, description="Review at or above this % of points; fail below.")
    per_beam: bool = Field(default=True, description="Also judge gamma of each beam, if planned doses per beam exist.")


class DoseScaleOptions(BaseModel):
    """Median of computed / planned dose where the planned dose is at least 80 % of its maximum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pass_percent: float = Field(2.0, gt=0, lt=100, description="Pass up to this deviation of the ratio from 1, in %.")
    review_percent: float = Field(3.0, gt=0, lt=100, description="Review up to this deviation in %; fail beyond.")


class PositionOffsetOptions(BaseModel):
    """Rigid shift that best aligns the computed dose with the planned one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pass_mm: float = Field(1.0, gt=0, le=50, description="Pass up to this shift across the beam, in mm.")
    review_mm: float = Field(
        2.0, gt=0, le=50, description="Review up to this shift across the beam in mm; fail beyond."
    )


class RangeOptions(BaseModel):
    """Distal range R80 and distal falloff R80-R20 along the beam, median over the rays of the field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pass_mm: float = Field(1.5, gt=0, le=50, description="Pass up to this difference of R80, in mm.")
    review_mm: float = Field(2.5, gt=0, le=50, description="Review up to this difference of R80 in mm; fail beyond.")
    falloff_pass_mm: float = Field(1.5, gt=0, le=50, description="Pass up to this difference of R80-R20, in mm.")
    falloff_review_mm: float = Field(
        3.0, gt=0, le=50, description="Review up to this difference of R80-R20 in mm; fail beyond."
    )


class PenumbraOptions(BaseModel):
    """Lateral penumbra (80 % to 20 %) across the beam, median over the edges of the field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pass_mm: float = Field(1.0, gt=0, le=50, description="Pass up to this difference of the penumbra, in mm.")
    review_mm: float = Field(
        2.0, gt=0, le=50, description="Review up to this difference of the penumbra in mm; fail beyond."
    )


class UncertaintyOptions(BaseModel):
    """Statistical uncertainty allowed in a judged dose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_percent: float = Field(
        1.5, gt=0, lt=100, description="Undecided above this mean 1 sigma in % where planned dose >= 50 % of maximum."
    )


class PlannedSumOptions(BaseModel):
    """Agreement of the sum of the beams' planned doses with the planned dose of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance_percent: float = Field(
        2.0, gt=0, lt=100, description="99 % of points must agree within this % of the planned maximum."
    )


class MachineLimits(BaseModel):
    """Tolerances of one treatment machine; unset ones are those of all machines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gamma: GammaOptions | None = Field(None, description="Gamma of this machine's beams.")
    dose_scale: DoseScaleOptions | None = Field(None, description="Dose scale of this machine's beams.")
    position_offset: PositionOffsetOptions | None = Field(None, description="Position offset of this machine's beams.")
    range: RangeOptions | None = Field(None, description="Range of this machine's beams.")
    penumbra: PenumbraOptions | None = Field(None, description="Lateral penumbra of this machine's beams.")
    uncertainty: UncertaintyOptions | None = Field(
        None, description="Statistical uncertainty allowed for this machine."
    )
    delivery: DeliveryOptions | None = Field(None, description="What this machine recorded of deliveries.")


class JudgementOptions(BaseModel):
    """Tolerances of the checks, to be set by the site. Only the defaults of gamma are from TG-218."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gamma: GammaOptions = Field(default_factory=GammaOptions, description="Global gamma of the plan and the beams.")
    dose_scale: DoseScaleOptions = Field(
        default_factory=DoseScaleOptions, description="Median dose ratio where planned dose >= 80 % of maximum."
    )
    position_offset: PositionOffsetOptions = Field(
        default_factory=PositionOffsetOptions, description="Rigid shift of each beam's dose."
    )
    range: RangeOptions = Field(default_factory=RangeOptions, description="Distal range and falloff of each beam.")
    penumbra: PenumbraOptions = Field(
        default_factory=PenumbraOptions,
        description="Lateral penumbra of each beam: a range shifter at another distance changes nothing else.",
    )
    uncertainty: UncertaintyOptions = Field(
        default_factory=UncertaintyOptions, description="Statistical uncertainty above which the verdict is undecided."
    )
    planned_sum: PlannedSumOptions = Field(
        default_factory=PlannedSumOptions, description="Consistency of planned beam doses and plan dose."
    )
    delivery: DeliveryOptions = Field(
        default_factory=DeliveryOptions, description="What a machine recorded of a fraction, against the plan."
    )
    without_beam_doses: Literal["pass", "review", "not_judged"] = Field(
        "review",
        description="Best possible verdict of a plan of several beams with a planned dose of the whole plan but none "
        "of "
        "single beams. A beam without either is never judged.",
    )
    goals: ClinicalGoals = Field(
        default_factory=ClinicalGoals, description="Clinical goals of structures, for example of TG-263 names."
    )
    machines: dict[DicomText, MachineLimits] = Field(
        default_factory=dict, description="Different tolerances by TreatmentMachineName."
    )

    @model_validator(mode="after")
    def _review_is_wider_than_pass(self) -> Self:
        for machine in ("", *self.machines):
            options = self.for_machine(machine)
            for section, best, worst, sign in _STRICTER_FIRST:
                limits = getattr(options, section)
                if sign * getattr(limits, worst) < sign * getattr(limits, best):
                    where = f"machines.{machine}.{section}" if machine else section
                    raise ValueError(f"{where}: {worst} is stricter than {best}")
        return self

    def for_machine(self, name: str) -> JudgementOptions:
        """Return these options with the overrides of one machine, merged field by field."""
        mine = self.machines.get(name)
        if mine is None:
            return self
        changed: dict[str, BaseModel] = {}
        for section in mine.model_fields_set:
            override = getattr(mine, section)
            if override is not None:
                merged = getattr(self, section).model_dump() | override.model_dump(exclude_unset=True)
                changed[section] = type(override).model_validate(merged)
        return self.model_copy(update=changed)


class DoseConvention(BaseModel):
    """Type of the doses of one planning system's manufacturer, since DoseType may be wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    medium: Medium = Field(description="Dose to `medium` or to `water`.")
    biology: Biology = Field(description="`physical` dose, or `rbe` for RBE-weighted dose.")
    rbe_factor: float = Field(1.1, gt=0, le=5, description="Constant RBE factor in the dose when biology is `rbe`.")
    extent: Extent = Field(description="Dose of one `fraction`, or of the whole `course`.")

    @property
    def dose_type(self) -> DoseType:
        """The dose type of this planning system."""
        return DoseType(self.medium, self.biology, self.extent)
