"""A case on its way through the stages of preparation. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.stopping import Ratio

if TYPE_CHECKING:
    from mqi_communicator.dicom.structures import StructureSet


class Models(Protocol):
    """The models of an engine that preparation needs."""

    def machine(self, beam: Beam) -> MachineModel | None:
        """The model of the beam's machine; None if it is not configured."""
        ...

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """The conversion of the CT's scanner; None if it is not configured."""
        ...

    def tube_voltage(self, ct: CTVolume) -> float | None:
        """The kV that the conversion of the CT's scanner is for; None if that is not configured."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """Plan and CT after some stages, why they cannot be computed, and what a verdict says about the stages."""

    plan: IonPlan
    ct: CTVolume
    structures: StructureSet | None
    problems: tuple[Problem, ...] = ()
    cautions: tuple[Caution, ...] = ()
    axes: Axes = POSITIONS["HFS"]  # of plan and CT, in the patient system

    def refused(self, problems: Iterable[Problem]) -> Draft:
        """The same with more problems."""
        return replace(self, problems=(*self.problems, *problems))

    def noted(self, cautions: Iterable[Caution]) -> Draft:
        """The same with more cautions; one with `review=False` is a note."""
        return replace(self, cautions=(*self.cautions, *cautions))


Stage = Callable[[Draft, Models, PreparationOptions], Draft]
"""One stage of the preparation. It collects problems instead of raising them, and accepts any plan and CT that the
readers return: numbers may be NaN and beams may have no layer where a problem has been found."""
