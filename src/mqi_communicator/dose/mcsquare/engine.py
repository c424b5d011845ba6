"""MCsquare as a DoseEngine: dose per beam and fraction, physical, to medium or to water."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.work import Need, Program, Work
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, Biology, CTVolume, Dose, DoseType, Extent, IonPlan
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.abilities import MCSQUARE, Abilities
from mqi_communicator.dose.checks import (
    beam_problems,
    plan_problems,
    problems_of,
    raise_problems,
    record_problems,
    sound_beams,
)
from mqi_communicator.dose.commissioning import with_commissioning
from mqi_communicator.dose.engine import NO_INPUT, Accepted, GpuDemand, Progress, Refused
from mqi_communicator.dose.mcsquare import inputs, output, runlog
from mqi_communicator.dose.mcsquare.basis import (
    BeamModel,
    Curve,
    check_optics,
    curve_of,
    model_of,
    reasons_not_to_judge,
)
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.stopping import stopping_ratio
from mqi_communicator.dose.overrides import override_problems
from mqi_communicator.dose.stopping import Ratio


class MCsquare:
    """One MCsquare in one configuration. Beam models and curves come as bytes and travel with the case."""

    name = "mcsquare"

    def __init__(self, options: MCsquareOptions, models: Mapping[str, BeamModel], curves: Mapping[str, Curve]) -> None:
        self._options = options
        self._models = dict(models)  # by TreatmentMachineName
        self._curves = dict(curves)  # by CTVolume.scanner

    @property
    def histories(self) -> int | None:
        """Protons per beam; None with a target uncertainty."""
        return self._options.histories

    def with_histories(self, histories: int) -> MCsquare:
        """The same with so many protons per beam, and no target uncertainty."""
        changed = {"histories_per_beam": histories, "target_uncertainty": None}
        return MCsquare(self._options.model_copy(update=changed), self._models, self._curves)

    def basis(self, plan: IonPlan, ct: CTVolume) -> tuple[str, ...]:
        """Sentences why a dose of this engine must not be judged; empty if it may be."""
        return tuple(reasons_not_to_judge(plan, ct, self._models, self._curves))

    @property
    def abilities(self) -> Abilities:
        """Its row of the table."""
        return MCSQUARE

    def refusals(self, plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> tuple[Problem, ...]:
        """What of the plan it cannot compute, and what it would compute wrongly."""
        found = [*self.abilities.refusals(plan)]
        if ct is not None:
            found += plan_problems(plan, ct)
            known = [beam for beam in sound_beams(plan) if beam.machine in self._models]
            found += [one for beam in known for one in self._problems(plan, beam, ct)]
            if structures is not None and ct.scanner in self._curves and len(known) == len(plan.beams):
                found += override_problems(structures, plan, ct, self.stopping_ratio(ct), self._sad)
        return tuple(found)

    def cautions(self, plan: IonPlan, ct: CTVolume) -> tuple[Caution, ...]:  # noqa: ARG002 - the port's
        """None yet."""
        return ()

    def _problems(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> list[Problem]:
        model = model_of(beam, self._models)
        return list(beam_problems(plan, beam, model, ct)) or problems_of(lambda: check_optics(beam, model))

    def _sad(self, beam: Beam) -> tuple[float, float]:
        return model_of(beam, self._models).sad

    def stopping_ratio(self, ct: CTVolume) -> Ratio:
        """That of the scanner's curve with the engine's own materials."""
        return partial(stopping_ratio, curve_of(ct, self._curves))

    def common_files(self, plan: IonPlan, ct: CTVolume) -> Mapping[str, bytes]:
        """CT, curve and beam models. ActionRequired for an unmapped machine or scanner, DicomProblem for a bad plan."""
        models = {_model_file(model): model.text for model in (model_of(beam, self._models) for beam in plan.beams)}
        curve = curve_of(ct, self._curves)
        raise_problems(record_problems(plan))
        raise_problems(self.refusals(plan, ct, None))
        curve_files = {"HU_Density.txt": curve.density, "HU_Material.txt": curve.material}
        return {**inputs.ct_files(ct), **curve_files, **models, "expected.txt": inputs.expected_file(ct.grid)}

    def beam_files(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> Mapping[str, bytes]:
        """The beam's plan and configuration. Faults as in `common_files`."""
        model = model_of(beam, self._models)
        raise_problems(record_problems(plan))
        raise_problems((*plan_problems(plan, ct), *self._problems(plan, beam, ct)))
        config = inputs.config_file(self._options, beam, _model_file(model))
        return {"config.txt": config, "plan.txt": inputs.plan_file(beam, ct.grid)}

    def gpu_demand(self, ct: CTVolume) -> GpuDemand | None:  # noqa: ARG002 - the port's
        """None: it computes on the CPU."""
        return None

    def work(self, beam_number: int, gpus: int = 0) -> Work:  # noqa: ARG002 - the port's
        """One program. Its output folder must be there; the expected size ends the log."""
        home, number = self._options.home.rstrip("/"), int(beam_number)
        engine = Program(
            "mcsquare",
            (f"{home}/MCsquare_linux", f"../../input/beam-{number}/config.txt"),
            env=(("MCsquare_Materials_Dir", f"{home}/Materials"),),
        )
        return Work(
            (engine,),
            (runlog.HEADER, runlog.DOSE),
            self._options.time_limit_s,
            folders=("Outputs",),
            shown=("../../input/common/expected.txt",),
        )

    def progress(self, log_tail: str) -> Progress:
        """The engine's percentage and uncertainty so far."""
        return runlog.read_progress(log_tail, self._options.target_uncertainty)

    def judge_run(
        self,
        beam_number: int,  # noqa: ARG002 - the port's: other engines name their products after the beam
        exit_code: int,
        log_tail: str,
        products: Mapping[str, int],
    ) -> Accepted | Refused:
        """Exit code, complaints, end mark and sizes together."""
        return runlog.judge(exit_code, log_tail, products)

    def read_dose(
        self,
        plan: IonPlan,  # noqa: ARG002 - the port's: engines that answer for the whole course need its fractions
        beam: Beam,
        ct: CTVolume,
        products: Mapping[str, bytes],
        log: str,
    ) -> Dose:
        """Gy per fraction on the CT's grid. Permanent if not finite, zero, incomplete, or of another grid."""
        if problem := runlog.check_whole(log):
            raise Permanent(f"beam {beam.number}: {problem}")
        missing = [name for name in (runlog.HEADER, runlog.DOSE) if name not in products]
        if missing:
            raise Permanent(f"beam {beam.number}: {', '.join(missing)} did not come home")
        protons = output.delivered_protons(beam, model_of(beam, self._models))
        gy = output.dose_gy(products[runlog.HEADER], products[runlog.DOSE], ct.grid, protons)
        dose_type = DoseType(self._options.dose_to, Biology.PHYSICAL, Extent.FRACTION)
        return Dose(ct.grid, gy, dose_type, beam.number, runlog.uncertainty(log))

    def needs(self) -> Sequence[Need]:
        """The binary, its digest, its materials, and that it starts."""
        home = self._options.home.rstrip("/")
        get = "fetch it with `python3 setup/fetch_engine.py FOLDER`, copy the folder to the host, and name it as home"
        binary, digest = f"{home}/MCsquare_linux", self._options.engine_sha256
        return (
            Need("executable", binary, f"MCsquare_linux is not in {home}, or not executable: {get}"),
            Need("sha256", binary, f"{binary} is another build than engine_sha256 says: {get}", digest),
            Need("readable", f"{home}/Materials/list.dat", f"the folder Materials is not in {home}: {get}"),
            Need(
                "starts", binary, f"{binary} does not run on this host: {get}", words=(NO_INPUT,), says=runlog.NO_INPUT
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
        }

    def evidence(self) -> Mapping[str, str]:
        """The recipe, and who vouches for models and curves."""
        vouched = {f"beam_model/{name}": model.commissioning for name, model in self._models.items()}
        vouched |= {f"curve/{name}": curve.commissioning for name, curve in self._curves.items()}
        return with_commissioning(self.recipe(), vouched)


def _model_file(model: BeamModel) -> str:
    return f"model-{model.sha256[:12]}.txt"
