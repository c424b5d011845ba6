"""One configuration of MCsquare, and the plans that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.abilities import MCSQUARE
from mqi_communicator.dose.checks import beam_problems, plan_problems, problems_of, sound_beams
from mqi_communicator.dose.engine import PreparedCase
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve, check_optics, model_of
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.shifter_checks import shifter_problems
from mqi_communicator.dose.mcsquare.stopping import stopping_ratio
from mqi_communicator.dose.stopping import Ratio


@dataclass(frozen=True, slots=True)
class Setup:
    """Options, beam models and curves."""

    options: MCsquareOptions
    models: Mapping[str, BeamModel]  # by TreatmentMachineName
    curves: Mapping[str, Curve]  # by CTVolume.scanner

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """That of the scanner's curve with the engine's own materials; None without a curve."""
        return partial(stopping_ratio, self.curves[ct.scanner]) if ct.scanner in self.curves else None

    def machine(self, beam: Beam) -> MachineModel | None:
        """The model of the beam's machine; None without one."""
        model = self.models.get(beam.machine)
        if model is None:
            return None
        return MachineModel(model.sad, model.spot_sigma if model.table else None, model.shifters)

    def refusals(self, prepared: PreparedCase) -> tuple[Problem, ...]:
        """What the engine cannot compute, and what it would compute wrongly. Beams without a model are left out."""
        plan, ct = prepared.plan, prepared.ct
        found = [*MCSQUARE.refusals(plan), *plan_problems(plan, ct)]
        known = [beam for beam in sound_beams(plan) if beam.machine in self.models]
        return (*found, *(one for beam in known for one in self._beam_problems(plan, beam, ct)))

    def _beam_problems(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> list[Problem]:
        model = model_of(beam, self.models)
        found = list(beam_problems(plan, beam, model, ct))
        return found or [*problems_of(lambda: check_optics(beam, model)), *shifter_problems(plan, beam, model)]
