"""One configuration of moqui, what follows from it for a beam, and the plans that it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, Extent, IonPlan
from mqi_communicator.dose.abilities import RANGE_SHIFTERS
from mqi_communicator.dose.checks import beam_problems, plan_problems, problems_of, sound_beams
from mqi_communicator.dose.engine import PreparedCase
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.moqui.basis import Calibration, Machine, machine_of, snout_of
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.beamline import Beamline, beamline_of
from mqi_communicator.dose.moqui.build import Build
from mqi_communicator.dose.moqui.device_checks import Point, device_problems, isocentre_problems
from mqi_communicator.dose.moqui.flavour import Scale
from mqi_communicator.dose.moqui.flavours import UPSTREAM
from mqi_communicator.dose.moqui.geometry import SentCT, check_start, sent_ct
from mqi_communicator.dose.moqui.histories import HistoriesRequest, Quota, quota_by_counts, quota_by_ratio
from mqi_communicator.dose.moqui.stopping import stopping_ratio
from mqi_communicator.dose.rays import BeamPath, beam_path_of
from mqi_communicator.dose.stopping import Ratio, unknown_ratio

_ZERO: Point = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Setup(Build):
    """A build, its machines and calibrations."""

    calibrations: Mapping[str, Calibration]  # by CTVolume.scanner
    times: float = 1.0  # each beam gets this many times the configured histories

    def lacking(self, machine: Machine) -> str:
        """The setting that would make the machine's dose absolute and is not declared; "" if the dose is absolute."""
        match self.scale:
            case Scale.RATIO:
                return ""
            case Scale.COUNTS:
                return "" if machine.protons_per_mu else "protons_per_mu"
            case Scale.DECLARED:
                if self.writes_lists and not machine.counts_per_mu:
                    return "counts_per_mu"
                return "" if machine.dose_factor else "dose_factor"

    def factor(self, machine: Machine, quota: Quota) -> float:
        """The factor from a run's dose to Gy, as far as it is known."""
        return (machine.dose_factor or 1.0) if self.scale is Scale.DECLARED else quota.factor

    def included(self, plan: IonPlan) -> float:
        """The RBE and the number of fractions that are in the dose of a flavour which cannot leave them out."""
        if self.flavour.physical:
            return 1.0
        course = self.options.answer_extent is Extent.COURSE
        return self.options.answer_rbe * (plan.fractions if course else 1)

    def quota(self, beam: Beam) -> Quota:
        """The histories of one run of the beam. DicomProblem if weak spots would need too many."""
        options, machine = self.options, machine_of(beam, self.machines)
        request = HistoriesRequest(
            histories=-(-options.histories_per_beam // options.seeds),
            most=options.max_histories_per_beam // options.seeds,
            per_batch=options.max_histories_per_batch,
        )
        quota = self._quota(beam, machine, request)
        if self.times == 1:
            return quota
        more = math.ceil(quota.histories * self.times)
        return self._quota(beam, machine, replace(request, histories=more, most=max(request.most, more)))

    def beam_path(self, beam: Beam, machine: Machine) -> tuple[BeamPath, float]:
        """The beam's rays, and the height in mm above the isocentre where its protons start."""
        return beam_path_of(beam, machine.sad), self._start(beam, machine)

    def beamline(self, beam: Beam, machine: Machine) -> Beamline:
        """The range shifter and the aperture of a prepared beam."""
        return beamline_of(beam, machine.sad)

    def origin(self, plan: IonPlan) -> Point:
        """The point of the patient system that is the origin of what is sent: the isocentre of beams with a device."""
        return next(iter(self._device_isocentres(plan)), _ZERO)

    def _device_isocentres(self, plan: IonPlan) -> list[Point]:
        known = [(beam, self.machines[beam.machine]) for beam in plan.beams if beam.machine in self.machines]
        return [beam.isocenter for beam, machine in known if self.beamline(beam, machine).devices]

    def snout(self, beam: Beam, machine: Machine) -> float:
        """The SnoutPosition that is sent, in mm. DicomProblem if neither the plan nor the machine has one."""
        return self.beamline(beam, machine).snout(snout_of(beam, machine), self.flavour.start)

    def sent_ct(self, plan: IonPlan, ct: CTVolume) -> SentCT:
        """The part of the CT that is sent. DicomProblem if moqui would misread it."""
        return sent_ct(ct, [self.beam_path(beam, machine_of(beam, self.machines)) for beam in plan.beams])

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """That of upstream's default calibration; unknown for forks and builds of the site's own, which have others.
        None without a calibration."""
        if ct.scanner not in self.calibrations:
            return None
        return stopping_ratio if self.flavour.name == UPSTREAM.name else unknown_ratio

    def machine(self, beam: Beam) -> MachineModel | None:
        """The model of the beam's machine; None without one."""
        machine = self.machines.get(beam.machine)
        if machine is None:
            return None
        shifters = machine.shifters if RANGE_SHIFTERS in machine.devices else None
        return MachineModel(machine.sad, self._spot_sigma(beam, machine), shifters)

    def _spot_sigma(self, beam: Beam, machine: Machine) -> Callable[[float], float] | None:
        """From the beam file, after the way from the start to the isocentre; else as declared. None if it is not."""
        declared = machine.spot_sigma
        if not isinstance(machine.model, BeamFile):
            return None if declared is None else lambda _energy: declared
        snout = machine.snout_position if beam.snout_position is None else beam.snout_position
        drift = 0.0 if snout is None else max(0.0, snout + self.flavour.start)  # without one the beam is refused
        return partial(machine.model.sigma_at, drift=drift)

    def refusals(self, prepared: PreparedCase) -> tuple[Problem, ...]:
        """What this build cannot compute, and what it would compute wrongly. Beams without a machine are left out."""
        plan, ct = prepared.plan, prepared.ct
        found = [*self.abilities.refusals(plan), *plan_problems(plan, ct)]
        known = [beam for beam in sound_beams(plan) if beam.machine in self.machines]
        aimed = [one for beam in known for one in self._beam_problems(plan, beam, ct)]
        aimed += isocentre_problems(plan, self._device_isocentres(plan))
        if len(known) == len(plan.beams) and not aimed:
            aimed = problems_of(lambda: self.sent_ct(plan, ct))
        return (*found, *aimed)

    def _beam_problems(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> list[Problem]:
        machine = machine_of(beam, self.machines)
        if found := list(beam_problems(plan, beam, machine.model, ct)):
            return found
        if isinstance(machine.model, BeamFile) and machine.devices:
            unset = problems_of(lambda: snout_of(beam, machine))
            snout = 0.0 if unset else snout_of(beam, machine)
            found = [*unset, *device_problems(plan, beam, machine.model, snout, self.flavour.start)]
            if found:
                return found
        start = problems_of(lambda: check_start(beam, ct, self._start(beam, machine), machine.sad))
        return [*start, *problems_of(lambda: self.quota(beam))]

    def _start(self, beam: Beam, machine: Machine) -> float:
        return self.snout(beam, machine) + self.flavour.start

    def _quota(self, beam: Beam, machine: Machine, request: HistoriesRequest) -> Quota:
        if isinstance(machine.model, BeamFile):
            return quota_by_ratio(beam, machine.model, machine.protons_per_mu, request)
        counts = machine.counts_per_mu if self.scale is Scale.DECLARED else None
        return quota_by_counts(beam, machine.protons_per_mu, request, counts)
