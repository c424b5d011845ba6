"""Changes to an RT Ion Plan that several systems have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_images import item

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def bare_plan(draft: Draft) -> Dataset:
    """The plan without private elements, review and description."""
    plan = draft.object("RP.dcm")
    plan.remove_private_tags()
    for keyword in ("RTPlanDescription", "ReviewDate", "ReviewTime", "ReviewerName"):
        plan.pop(keyword, None)
    return plan


def beams_of(plan: Dataset) -> list[tuple[Dataset, Dataset, list[Dataset]]]:
    """Each beam, its item in the fraction group, and its control points."""
    references = {r.ReferencedBeamNumber: r for r in plan.FractionGroupSequence[0].ReferencedBeamSequence}
    return [(beam, references[beam.BeamNumber], list(beam.IonControlPointSequence)) for beam in plan.IonBeamSequence]


def weigh_in_mu(plan: Dataset) -> None:
    """Make the final cumulative weight of each beam equal to its meterset."""
    for beam, reference, points in beams_of(plan):
        factor = float(reference.BeamMeterset) / float(beam.FinalCumulativeMetersetWeight)
        for point in points:
            point.ScanSpotMetersetWeights = [factor * weight for weight in many(point.ScanSpotMetersetWeights)]
            point.CumulativeMetersetWeight = round(factor * float(point.CumulativeMetersetWeight), 6)
        beam.FinalCumulativeMetersetWeight = points[-1].CumulativeMetersetWeight = reference.BeamMeterset


def refer_to_prescription(plan: Dataset, uid: str) -> None:
    """Name the first dose reference in the fraction group and, with its share, in every control point."""
    prescription = plan.DoseReferenceSequence[0]
    prescription.DoseReferenceUID, prescription.DoseReferenceStructureType = uid, "SITE"
    prescription.DoseReferenceDescription = "Target"
    prescription.pop("ReferencedROINumber", None)
    for beam, reference, points in beams_of(plan):
        reference.ReferencedDoseReferenceUID, reference.BeamDose = uid, 1.0
        for point in points:
            share = float(point.CumulativeMetersetWeight) / float(beam.FinalCumulativeMetersetWeight)
            point.ReferencedDoseReferenceSequence = [
                item(CumulativeDoseReferenceCoefficient=f"{share:.7f}", ReferencedDoseReferenceNumber=1)
            ]


def add_couch_and_snout(plan: Dataset) -> None:
    """The IDs of snout and patient support."""
    for beam in plan.IonBeamSequence:
        beam.SnoutSequence = [item(SnoutID="S1")]
        beam.PatientSupportID, beam.PatientSupportAccessoryCode = "Couch", "AC123"


def one_point_per_layer(plan: Dataset) -> None:
    """Leave only the control points that deliver, numbered anew."""
    for beam, _, points in beams_of(plan):
        beam.IonControlPointSequence = points[::2]
        beam.NumberOfControlPoints = len(beam.IonControlPointSequence)
        for index, point in enumerate(beam.IonControlPointSequence):
            point.ControlPointIndex = index


def snout_limits(plan: Dataset) -> None:
    """The elements of the private creator IMPAC in each beam: source to skin, depth, modulation (fictitious)."""
    for beam in plan.IonBeamSequence:
        block = beam.private_block(0x300B, "IMPAC", create=True)
        for offset, value in ((0x02, 500.0), (0x04, 150.0), (0x0E, 100.0)):
            block.add_new(offset, "FL", value)


def each_point(plan: Dataset, change: Callable[[Dataset], None]) -> None:
    """Change every control point."""
    for point in control_points(plan):
        change(point)


def control_points(plan: Dataset) -> Iterator[Dataset]:
    """All control points of all beams."""
    for beam in plan.IonBeamSequence:
        yield from beam.IonControlPointSequence


def many(value: object) -> list[float]:
    """A multi-valued attribute as a list, also where it has one value."""
    return [float(v) for v in value] if hasattr(value, "__iter__") else [float(value)]  # type: ignore[arg-type]
