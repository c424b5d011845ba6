"""moqui as a DoseEngine: dose per beam and fraction, physical, to water."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mqi_communicator.case.work import Need
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dose.abilities import RANGE_SHIFTERS, Abilities
from mqi_communicator.dose.commissioning import with_commissioning
from mqi_communicator.dose.engine import BeamJob, EngineCase, JobRequest, PreparedCase
from mqi_communicator.dose.moqui.basis import Calibration, Machine
from mqi_communicator.dose.moqui.build import Build
from mqi_communicator.dose.moqui.job import MoquiJob
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.range_shifter import RangeShifter, commissioned_shifters, recipe_of_shifters

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, CTVolume
    from mqi_communicator.dose.machine_model import MachineModel
    from mqi_communicator.dose.moqui.setup import Setup
    from mqi_communicator.dose.stopping import Ratio


class Moqui:
    """One build of moqui in one configuration. Beam files are sent with each case, patients and names are not."""

    name = "moqui"
    uses_gpus = True

    def __init__(
        self,
        options: MoquiOptions,
        machines: Mapping[str, Machine],
        calibrations: Mapping[str, Calibration],
        times: float = 1.0,
    ) -> None:
        """`machines` by TreatmentMachineName, `calibrations` by CTVolume.scanner. `times`: the factor on the
        configured histories that each beam gets."""
        self._options, self._times = options, times
        self._machines, self._calibrations = dict(machines), dict(calibrations)
        self._build = Build(options, self._machines)

    @property
    def histories(self) -> int | None:
        """Protons per beam, all seeds together."""
        return round(self._options.histories_per_beam * self._times)

    def with_histories(self, histories: int) -> Moqui:
        """The same engine with this number of protons per beam; beams whose weak spots need more get more in
        proportion."""
        times = histories / self._options.histories_per_beam
        return Moqui(self._options, self._machines, self._calibrations, times)

    @property
    def abilities(self) -> Abilities:
        """The row of the built-in flavour that this build is, or is based on."""
        return self._build.abilities

    def machine(self, beam: Beam) -> MachineModel | None:
        """Its model of the beam's machine."""
        return self._setup().machine(beam)

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """Its conversion of the CT's scanner."""
        return self._setup().ratio(ct)

    def tube_voltage(self, ct: CTVolume) -> float | None:
        """The kV that the conversion of the CT's scanner is for."""
        return self._calibrations[ct.scanner].kvp if ct.scanner in self._calibrations else None

    def refusals(self, prepared: PreparedCase) -> tuple[Problem, ...]:
        """What of the case it cannot compute, and what it would compute wrongly."""
        return self._setup().refusals(prepared)

    def case(self, prepared: PreparedCase) -> EngineCase:
        """Its view of one plan on one CT."""
        from mqi_communicator.dose.moqui.case import MoquiCase  # loads numpy: workers only

        return MoquiCase(self._setup(), prepared)

    def job(self, request: JobRequest) -> BeamJob:
        """The job of one beam: the site's steps, and between them moqui once per seed."""
        return MoquiJob(self._build.programs, request)

    def needs(self) -> Sequence[Need]:
        """The program, its digest if the site names one, stdbuf, and the programs of the site's steps."""
        return self._build.programs.needs()

    def recipe(self) -> Mapping[str, str]:
        """Digests of program and models, and the settings that shape the number."""
        options, flavour = self._options, self._build.flavour
        return {
            "engine": "moqui",
            "flavour": flavour.name,
            "engine_sha256": options.program_sha256 or "not checked",
            "dose": "physical, to water, one fraction"
            + ("" if flavour.physical else f", RBE {options.answer_rbe:g} and {options.answer_extent.value} undone"),
            "histories_per_beam": str(self.histories),
            "seeds": f"{options.seeds}, from {options.seed}",
            "job": self._build.programs.words,
            "scale": self._build.scale.value,
            **{f"beam_model/{name}": machine.words for name, machine in self._machines.items()},
            **{f"calibration/{name}": calibration.name for name, calibration in self._calibrations.items()},
            **recipe_of_shifters(self._shifters),
        }

    def evidence(self) -> Mapping[str, str]:
        """The recipe, who vouches for models and calibrations, and by which measured fields for devices in the beam."""
        vouched = {f"beam_model/{name}": machine.commissioning for name, machine in self._machines.items()}
        vouched |= {f"calibration/{name}": one.commissioning for name, one in self._calibrations.items()}
        vouched |= commissioned_shifters(self._shifters)
        measured = {
            f"{kind}/{name}": str(one)
            for name, machine in self._machines.items()
            for kind, one in machine.devices.items()
        }
        return with_commissioning(self.recipe(), vouched) | measured

    @property
    def _shifters(self) -> Mapping[str, Mapping[str, RangeShifter]]:
        """Those of machines where range shifters are computed."""
        return {name: one.shifters for name, one in self._machines.items() if RANGE_SHIFTERS in one.devices}

    def _setup(self) -> Setup:
        from mqi_communicator.dose.moqui.setup import Setup  # loads numpy: workers only

        return Setup(self._options, self._machines, self._calibrations, self._times)
