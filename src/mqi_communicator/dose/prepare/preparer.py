"""One engine with the site's rules of preparation: what steps use to prepare a case. It can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.dose.prepare.options import PreparationOptions

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import CTVolume, IonPlan
    from mqi_communicator.dicom.structures import StructureSet
    from mqi_communicator.dose.prepare.preparation import Preparation


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares cases for one engine."""

    engine: DoseEngine
    options: PreparationOptions

    def recipe(self) -> Mapping[str, str]:
        """What determines a dose: the engine's recipe and the rules of preparation."""
        return {**self.engine.recipe(), **self.options.recipe()}

    def evidence(self) -> Mapping[str, str]:
        """The recipe, with who commissioned each model and curve."""
        return {**self.engine.evidence(), **self.options.recipe()}

    def prepare(self, plan: IonPlan, ct: CTVolume, structures: StructureSet | None) -> Preparation:
        """See `preparation.prepare`."""
        from mqi_communicator.dose.prepare.preparation import prepare  # loads numpy: workers only

        return prepare(plan, ct, structures, self.engine, self.options)

    def refusals(self, plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> tuple[Problem, ...]:
        """See `preparation.refusals`."""
        from mqi_communicator.dose.prepare.preparation import refusals  # loads numpy: workers only

        return refusals(self.engine, self.options, plan, ct, structures)
