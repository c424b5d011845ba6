"""What an engine would take without a word and answer with a wrong dose."""

from __future__ import annotations

import math
from typing import Protocol

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan, Layer

_RANGE = 4000.0  # mm, MU: a spot beyond is a slip of units


class EnergyTable(Protocol):
    """The energies that a beam model knows. Engines extrapolate without a word."""

    @property
    def span(self) -> str:
        """The energies in words: "100 to 250 MeV"."""
        ...

    def covers(self, energy: float) -> bool:
        """Whether this nominal energy (MeV) lies within the table."""
        ...


def check_plan(plan: IonPlan, ct: CTVolume) -> None:
    """The CT can be written, and the plan means it. DicomProblem if not."""
    import numpy as np

    if plan.frame_of_reference_uid not in ("", ct.frame_of_reference_uid):  # it may leave it out (PS3.3 A.49: usage U)
        raise DicomProblem(
            "the plan's frame of reference is not the CT's: the isocentre would mean another point",
            "export the CT that the plan was made on",
            code="dose.frame_of_reference",
        )
    if ct.hu.shape != ct.grid.shape or min(ct.grid.spacing) <= 0:
        raise DicomProblem(f"the CT has {ct.hu.shape} voxels, its grid {ct.grid.shape}", code="dose.ct_grid")
    if not np.isfinite(ct.hu).all():
        raise DicomProblem("the CT holds voxels that are no number (NaN or infinite)", code="dose.ct_values")


def check_beam(beam: Beam, model: EnergyTable, ct: CTVolume) -> None:
    """The beam can be computed with this model. DicomProblem, naming beam and layer, if not."""
    where = f"beam {beam.number}"
    _positive(f"{where}: BeamMeterset (300A,0086)", beam.meterset, "MU")
    _positive(f"{where}: FinalCumulativeMetersetWeight (300A,010E)", beam.final_cumulative_weight, "")
    if not all(math.isfinite(value) for value in (beam.gantry_angle, beam.couch_angle, *beam.isocenter)):
        raise DicomProblem(f"{where}: an angle or the isocentre is no number", code="dose.geometry")
    if not beam.layers:
        raise DicomProblem(f"{where} has no energy layer, expected at least one", code="dose.no_layers")
    for index, layer in enumerate(beam.layers, start=1):
        _check_layer(f"{where}, layer {index} ({layer.energy:g} MeV)", layer, model)
    _check_total(where, beam)
    _check_isocenter(where, beam, ct)


def _check_layer(where: str, layer: Layer, model: EnergyTable) -> None:
    import numpy as np

    if not model.covers(layer.energy):
        raise DicomProblem(
            f"{where}: energy outside the beam model's table, found {layer.energy:g} MeV, expected {model.span}",
            "check that the plan is for this machine, or commission a beam model that covers this energy",
            code="dose.energy",
        )
    count = len(layer.weights)
    if layer.spots.shape != (count, 2):
        raise DicomProblem(f"{where}: {layer.spots.shape[0]} spots but {count} weights", code="dose.spots")
    if not (np.isfinite(layer.spots).all() and (np.abs(layer.spots) < _RANGE).all()):
        raise DicomProblem(f"{where}: a spot position is no number or beyond {_RANGE:g} mm", code="dose.spots")
    if not np.isfinite(layer.weights).all() or (layer.weights < 0).any():
        raise DicomProblem(f"{where}: a spot weight is negative or no number", code="dose.weights")
    if not (layer.weights > 0).any():
        raise DicomProblem(
            f"{where}: empty layer, found {count} spots with total weight 0, expected a positive weight",
            "remove the layer in the planning system and export the plan again",
            code="dose.empty_layer",
        )


def _check_total(where: str, beam: Beam) -> None:
    """The spots' weights must add up to the weight that BeamMeterset belongs to, or MU would be scaled wrongly."""
    total = float(sum(layer.weights.sum() for layer in beam.layers))
    if not math.isclose(total, beam.final_cumulative_weight, rel_tol=1e-3):
        raise DicomProblem(
            f"{where}: the spot weights add up to {total:g}, expected FinalCumulativeMetersetWeight "
            f"{beam.final_cumulative_weight:g}",
            "export the plan again; spots or layers may be missing",
            code="dose.meterset",
        )


def _check_isocenter(where: str, beam: Beam, ct: CTVolume) -> None:
    """An isocentre far outside the CT is a plan on another CT; a little outside is possible."""
    for axis, centre, first, step, count in zip(
        "xyz", beam.isocenter, ct.grid.origin, ct.grid.spacing, reversed(ct.grid.shape), strict=True
    ):
        last, extent = first + step * (count - 1), step * count
        if not first - extent <= centre <= last + extent:
            raise DicomProblem(
                f"{where}: isocentre {axis} = {centre:g} mm, but the CT spans {first:g} to {last:g} mm",
                "export the CT that the plan was made on",
                code="dose.isocenter",
            )


def _positive(what: str, value: float, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise DicomProblem(
            f"{what}: found {value:g} {unit}".rstrip() + ", expected a positive number",
            "export the plan with its metersets",
            code="dose.meterset",
        )
