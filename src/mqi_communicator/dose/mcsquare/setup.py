"""One configuration of MCsquare, and the plans that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.abilities import MCSQUARE
from mqi_communicator.dose.checks import beam_problems, plan_problems, problems_of, sound_beams
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve, check_optics, curve_of, model_of
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.stopping import stopping_ratio
from mqi_communicator.dose.overrides import override_problems
from mqi_communicator.dose.stopping import Ratio


@dataclass(frozen=True, slots=True)
class Setup:
    """Options, beam models and curves."""

    options: MCsquareOptions
    models: Mapping[str, BeamModel]  # by TreatmentMachineName
    curves: Mapping[str, Curve]  # by CTVolume.scanner

    def stopping_ratio(self, ct: CTVolume) -> Ratio:
        """That of the scanner's curve with the engine's own materials. ActionRequired without a curve."""
        return partial(stopping_ratio, curve_of(ct, self.curves))

    def refusals(self, plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> tuple[Problem, ...]:
        """What the engine cannot compute, and what it would compute wrongly. Beams without a model are left out."""
        found = [*MCSQUARE.refusals(plan)]
        if ct is not None:
            found += plan_problems(plan, ct)
            known = [beam for beam in sound_beams(plan) if beam.machine in self.models]
            found += [one for beam in known for one in self._beam_problems(plan, beam, ct)]
            if structures is not None and ct.scanner in self.curves and len(known) == len(plan.beams):
                found += override_problems(structures, plan, ct, self.stopping_ratio(ct), self._sad)
        return tuple(found)

    def _beam_problems(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> list[Problem]:
        model = model_of(beam, self.models)
        return list(beam_problems(plan, beam, model, ct)) or problems_of(lambda: check_optics(beam, model))

    def _sad(self, beam: Beam) -> tuple[float, float]:
        return model_of(beam, self.models).sad
