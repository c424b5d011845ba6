"""Limits of what a machine recorded of a fraction, to be set by the site."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DeliveryOptions(BaseModel):
    """Delivered against planned, per beam and fraction. Only the beam's MU are from a report (AAPM TG-224)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer_position_pass_mm: float = Field(
        0.5, gt=0, le=20, description="Pass up to this mean offset of a layer's spots, weighted by MU, in mm."
    )
    layer_position_review_mm: float = Field(
        1.0, gt=0, le=20, description="Review up to this mean offset of a layer in mm; fail beyond."
    )
    spot_position_pass_mm: float = Field(1.0, gt=0, le=20, description="Pass up to this offset of any spot, in mm.")
    spot_position_review_mm: float = Field(
        2.0, gt=0, le=20, description="Review up to this offset of any spot in mm; fail beyond."
    )
    size_pass_percent: float = Field(
        10.0, gt=0, le=100, description="Pass up to this difference of a layer's spot size from the planned one, in %."
    )
    size_review_percent: float = Field(
        20.0, gt=0, le=100, description="Review up to this difference of a layer's spot size in %; fail beyond."
    )
    size_required: bool = Field(
        default=False,
        description="Whether a fraction whose record has no measured spot sizes is not_judged as a whole.",
    )
    beam_mu_pass_percent: float = Field(1.0, gt=0, le=50, description="Pass up to this difference of a beam's MU in %.")
    beam_mu_review_percent: float = Field(
        2.0, gt=0, le=50, description="Review up to this difference of a beam's MU in %; fail beyond."
    )
    layer_mu_pass_percent: float = Field(
        2.0, gt=0, le=50, description="Pass up to this difference of the MU of any layer in %."
    )
    layer_mu_review_percent: float = Field(
        3.0, gt=0, le=50, description="Review up to this difference of the MU of any layer in %; fail beyond."
    )
    spot_mu_pass_percent: float = Field(
        5.0, gt=0, le=100, description="Pass up to this difference of the MU of any spot in %."
    )
    spot_mu_review_percent: float = Field(
        10.0, gt=0, le=100, description="Review up to this difference of the MU of any spot in %; fail beyond."
    )
    spot_mu_least: float = Field(
        0.01, ge=0, le=1, description="MU of a spot or layer that differ by no more than this pass, whatever the % are."
    )
    missing_percent: float = Field(
        0.5, ge=0, le=50, description="Review if spots with up to this % of the beam's MU are missing; fail beyond."
    )
    extra_percent: float = Field(
        0.5,
        ge=0,
        le=50,
        description="Pass up to this % of the beam's MU in test pulses and unplanned spots.",
    )
    compute_dose: bool = Field(
        default=False,
        description="Whether the dose of each complete fraction is computed from the recorded spots, and compared with "
        "the recalculated dose of the plan. Takes the hosts as long as the plan.",
    )
    over_percent: float = Field(
        1.0, ge=0, le=50, description="A fraction fails if its MU are more than this % above the plan."
    )
    fluence_pass_percent: float = Field(
        10.0, gt=0, le=100, description="Pass up to this difference of fluence in any layer, in % of its maximum."
    )
    fluence_review_percent: float = Field(
        20.0, gt=0, le=100, description="Review up to this difference of fluence in any layer in %; fail beyond."
    )


STRICTER_FIRST = tuple(
    ("delivery", f"{name}_pass_{unit}", f"{name}_review_{unit}", 1)
    for name, unit in (
        ("layer_position", "mm"),
        ("spot_position", "mm"),
        ("size", "percent"),
        ("beam_mu", "percent"),
        ("layer_mu", "percent"),
        ("spot_mu", "percent"),
        ("fluence", "percent"),
    )
)
"""Section, pass limit, review limit, +1 where more is worse: as in `results.options`."""
