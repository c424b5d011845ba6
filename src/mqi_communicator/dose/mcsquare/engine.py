"""MCsquare as a DoseEngine: dose per beam and fraction, physical, to medium or to water."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mqi_communicator.case.work import Need
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dose.abilities import MCSQUARE, Abilities
from mqi_communicator.dose.commissioning import with_commissioning
from mqi_communicator.dose.engine import NO_INPUT, BeamJob, EngineCase, JobRequest, PreparedCase
from mqi_communicator.dose.mcsquare import runlog
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.job import MCsquareJob
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.range_shifter import RangeShifter, commissioned_shifters, recipe_of_shifters

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, CTVolume
    from mqi_communicator.dose.machine_model import MachineModel
    from mqi_communicator.dose.mcsquare.setup import Setup
    from mqi_communicator.dose.stopping import Ratio


class MCsquare:
    """One MCsquare in one configuration. Beam models and curves are held as bytes and sent with each case."""

    name = "mcsquare"
    uses_gpus = False

    def __init__(self, options: MCsquareOptions, models: Mapping[str, BeamModel], curves: Mapping[str, Curve]) -> None:
        """`models` by TreatmentMachineName, `curves` by CTVolume.scanner."""
        self._options, self._models, self._curves = options, dict(models), dict(curves)

    @property
    def histories(self) -> int | None:
        """Protons per beam; None with a target uncertainty."""
        return self._options.histories

    def with_histories(self, histories: int) -> MCsquare:
        """The same engine with this number of protons per beam, and no target uncertainty."""
        changed = {"histories_per_beam": histories, "target_uncertainty": None}
        options = self._options.model_copy(update=changed)
        return MCsquare(options, self._models, self._curves)

    @property
    def abilities(self) -> Abilities:
        """Its row of the table."""
        return MCSQUARE

    def machine(self, beam: Beam) -> MachineModel | None:
        """Its model of the beam's machine."""
        return self._setup().machine(beam)

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """Its conversion of the CT's scanner."""
        return self._setup().ratio(ct)

    def tube_voltage(self, ct: CTVolume) -> float | None:
        """The kV that the conversion of the CT's scanner is for."""
        return self._curves[ct.scanner].kvp if ct.scanner in self._curves else None

    def refusals(self, prepared: PreparedCase) -> tuple[Problem, ...]:
        """What of the case it cannot compute, and what it would compute wrongly."""
        return self._setup().refusals(prepared)

    def case(self, prepared: PreparedCase) -> EngineCase:
        """Its view of one plan on one CT."""
        from mqi_communicator.dose.mcsquare.case import MCsquareCase  # loads numpy: workers only

        return MCsquareCase(self._setup(), prepared)

    def job(self, request: JobRequest) -> BeamJob:
        """The job of one beam; it uses no GPU."""
        return MCsquareJob(self._options, request)

    def needs(self) -> Sequence[Need]:
        """The binary, its digest, its materials, and that it starts."""
        home = self._options.home.rstrip("/")
        get = "fetch it with `mqi fetch-engine FOLDER`, copy the folder to the host, and name it as home"
        binary, digest = f"{home}/MCsquare_linux", self._options.engine_sha256
        return (
            Need("executable", binary, f"MCsquare_linux is not in {home}, or not executable: {get}"),
            Need("sha256", binary, f"{binary} is another build than engine_sha256: {get}", digest),
            Need("readable", f"{home}/Materials/list.dat", f"the folder Materials is not in {home}: {get}"),
            Need(
                "starts",
                binary,
                f"{binary} does not run on this host: {get}",
                arguments=(NO_INPUT,),
                says=runlog.NO_INPUT,
            ),
        )

    def recipe(self) -> Mapping[str, str]:
        """Digests of engine, models and curves, and the settings that shape the number."""
        options = self._options
        return {
            "engine": "MCsquare",
            "engine_sha256": options.engine_sha256,
            "dose": f"physical, to {options.dose_to.value}, one fraction",
            "histories_per_beam": str(options.histories_per_beam),
            "target_uncertainty": "none" if options.target_uncertainty is None else f"{options.target_uncertainty:g}",
            "seed": str(options.seed),
            **{f"beam_model/{name}": f"sha256 {model.sha256}" for name, model in self._models.items()},
            **{f"curve/{name}": f"sha256 {' and '.join(curve.digests)}" for name, curve in self._curves.items()},
            **recipe_of_shifters(self._shifters),
        }

    def evidence(self) -> Mapping[str, str]:
        """The recipe, and who vouches for models and curves."""
        vouched = {f"beam_model/{name}": model.commissioning for name, model in self._models.items()}
        vouched |= {f"curve/{name}": curve.commissioning for name, curve in self._curves.items()}
        vouched |= commissioned_shifters(self._shifters)
        return with_commissioning(self.recipe(), vouched)

    @property
    def _shifters(self) -> Mapping[str, Mapping[str, RangeShifter]]:
        return {name: model.shifters for name, model in self._models.items()}

    def _setup(self) -> Setup:
        from mqi_communicator.dose.mcsquare.setup import Setup  # loads numpy: workers only

        return Setup(self._options, self._models, self._curves)
