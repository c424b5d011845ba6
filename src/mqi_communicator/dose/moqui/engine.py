"""moqui as a DoseEngine: dose per beam and fraction, physical, to water."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.work import Need, Work
from mqi_communicator.dicom.outgoing_ct import ct_content, ct_files, whole_hounsfield
from mqi_communicator.dicom.outgoing_plan import SentBeam, SentLayer, plan_file
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import (
    Beam,
    Biology,
    CTVolume,
    Dose,
    DoseType,
    Extent,
    IonPlan,
    Medium,
)
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.abilities import Abilities, abilities_of
from mqi_communicator.dose.checks import (
    beam_problems,
    plan_problems,
    problems_of,
    raise_problems,
    record_problems,
    sound_beams,
)
from mqi_communicator.dose.commissioning import with_commissioning
from mqi_communicator.dose.engine import Accepted, GpuDemand, Progress, Refused
from mqi_communicator.dose.moqui import inputs, output, runlog
from mqi_communicator.dose.moqui.air import air_cautions
from mqi_communicator.dose.moqui.basis import (
    Calibration,
    Machine,
    calibration_of,
    machine_of,
    reasons_not_to_judge,
    snout_of,
)
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.flavour import Scale
from mqi_communicator.dose.moqui.flavours import BUILT_IN
from mqi_communicator.dose.moqui.geometry import SentCT, check_start, sent_ct, sent_shape
from mqi_communicator.dose.moqui.histories import HistoriesRequest, Quota, quota_by_counts, quota_by_ratio, sent_weights
from mqi_communicator.dose.moqui.job import Job
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.moqui.progress import read_progress
from mqi_communicator.dose.moqui.reading import check_input
from mqi_communicator.dose.moqui.requested import FILE, RequestedRun, requested_in
from mqi_communicator.dose.moqui.spotlists import spot_lists
from mqi_communicator.dose.moqui.stopping import stopping_ratio
from mqi_communicator.dose.outside import AIR
from mqi_communicator.dose.overrides import override_problems
from mqi_communicator.dose.rays import BeamPath, beam_path_of
from mqi_communicator.dose.stopping import Ratio, unknown_ratio

_MIB = 1 << 20


class Moqui:
    """One build of moqui in one configuration. Beam files travel with the case, patients and names do not."""

    name = "moqui"

    def __init__(
        self,
        options: MoquiOptions,
        machines: Mapping[str, Machine],
        calibrations: Mapping[str, Calibration],
        times: float = 1.0,
    ) -> None:
        """`times`: how many times as many histories as configured each beam gets."""
        self._options = options
        self._times = times
        self._flavour = options.chosen
        self._job = Job(options)
        self._machines = dict(machines)  # by TreatmentMachineName
        self._calibrations = dict(calibrations)  # by CTVolume.scanner

    @property
    def histories(self) -> int | None:
        """Protons per beam, all seeds together."""
        return round(self._options.histories_per_beam * self._times)

    def with_histories(self, histories: int) -> Moqui:
        """The same with so many protons per beam; beams whose weak spots need more get more in proportion."""
        return Moqui(self._options, self._machines, self._calibrations, histories / self._options.histories_per_beam)

    def basis(self, plan: IonPlan, ct: CTVolume) -> tuple[str, ...]:
        """Sentences why a dose of this engine must not be judged; empty if it may be."""
        return tuple(reasons_not_to_judge(plan, ct, self._machines, self._calibrations, self._lacking))

    @property
    def abilities(self) -> Abilities:
        """The row of the built-in flavour that this build is, or is based on."""
        return abilities_of(self.name, self._options.built_in)

    def refusals(self, plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> tuple[Problem, ...]:
        """What of the plan this build cannot compute, and what it would compute wrongly."""
        found = [*self.abilities.refusals(plan)]
        if ct is None:
            return tuple(found)
        found += plan_problems(plan, ct)
        known = [beam for beam in sound_beams(plan) if beam.machine in self._machines]
        aimed = [one for beam in known for one in self._problems(plan, beam, ct)]
        if len(known) == len(plan.beams):
            aimed += [] if aimed else problems_of(lambda: self._sent_ct(plan, ct))
            if structures is not None and ct.scanner in self._calibrations:
                ratio = self.stopping_ratio(ct)
                aimed += override_problems(structures, plan, ct, ratio, lambda beam: self._machines[beam.machine].sad)
        return (*found, *aimed)

    def cautions(self, plan: IonPlan, ct: CTVolume) -> tuple[Caution, ...]:
        """How much of moqui's dense air each beam crosses before the patient; beams without a machine are left out."""
        known = [beam for beam in plan.beams if beam.machine in self._machines]
        beam_paths = [self._beam_path(beam, self._machines[beam.machine]) for beam in known]
        return tuple(air_cautions(sent_ct(ct, beam_paths).part_of(ct), beam_paths, self._options.air_mm_water))

    def stopping_ratio(self, ct: CTVolume) -> Ratio:
        """That of the default calibration for built-in flavours; unknown for builds of the site's own."""
        calibration_of(ct, self._calibrations)
        return stopping_ratio if self._flavour.name in BUILT_IN else unknown_ratio

    def common_files(self, plan: IonPlan, ct: CTVolume) -> Mapping[str, bytes]:
        """De-identified CT and plan, beam files, spot lists. ActionRequired for an unmapped machine or scanner,
        DicomProblem for what moqui would take wrongly."""
        calibration_of(ct, self._calibrations)
        for beam in plan.beams:
            machine_of(beam, self._machines)
        raise_problems(record_problems(plan))
        raise_problems(self.refusals(plan, ct, None))
        sent = self._sent_ct(plan, ct)
        grid, hu = sent.grid, sent.hu(whole_hounsfield(ct))
        content = ct_content(grid, hu)
        dicom = {**ct_files(grid, hu, content), "RP.dcm": plan_file([self._sent(beam) for beam in plan.beams], content)}
        files = {f"{inputs.DICOM}/{name}": data for name, data in dicom.items()}
        if self._flavour.reads_beam_file:
            machines = (machine_of(beam, self._machines) for beam in plan.beams)
            files |= {one.file: one.model.text for one in machines if isinstance(one.model, BeamFile)}
        if self._writes_lists:
            files |= spot_lists([(beam, self._quota(beam).counts_per_mu) for beam in plan.beams])
        return files

    def beam_files(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> Mapping[str, bytes]:
        """One input file per run and number of GPUs, each read back before it is sent. Faults as in `common_files`."""
        raise_problems(record_problems(plan))
        raise_problems((*plan_problems(plan, ct), *self._problems(plan, beam, ct)))
        machine, calibration = machine_of(beam, self._machines), calibration_of(ct, self._calibrations)
        quota = self._quota(beam)
        place = inputs.ModelInputs(machine.file, machine.gantry, calibration.name, self._job.spots)
        voxels = math.prod(self._sent_ct(plan, ct).grid.shape)
        requested = RequestedRun(voxels, quota.histories if quota.exact else 0, self._factor(machine, quota))
        files = {FILE: requested.text()}
        numbers = [one.number for one in plan.beams]
        for run, gpus in self._job.runs_and_gpus():
            text = inputs.input_file(
                self._flavour,
                place,
                quota,
                beam=beam.number,
                seed=self._options.seed + (run - 1) * inputs.SEED_STEP,
                output=inputs.output_folder(self._options.seeds, run),
                dose_format=self._job.requested_format,
                gpus=gpus,
                temp=inputs.temp_folder(run),
            )
            check_input(text, self._flavour, numbers)
            files[inputs.input_name(run, gpus)] = text
        return files

    def gpu_demand(self, ct: CTVolume) -> GpuDemand | None:
        """As many GPUs as the site lets a beam have, one at least; memory grows with the CT."""
        voxels = math.prod(sent_shape(ct))
        mib = self._options.gpu_base_mib + -(-self._options.gpu_bytes_per_voxel * voxels // _MIB)
        return GpuDemand(most=self._options.gpus_per_beam, least=1, mib=mib)

    def work(self, beam_number: int, gpus: int = 0) -> Work:
        """The site's steps and moqui between them, once per seed."""
        return self._job.work(beam_number, gpus)

    def progress(self, log_tail: str) -> Progress:
        """How far the runs are, from their batches; moqui reports no uncertainty."""
        return read_progress(self._job.expected(0), log_tail)

    def judge_run(
        self, beam_number: int, exit_code: int, log_tail: str, products: Mapping[str, int]
    ) -> Accepted | Refused:
        """Words, exit code, histories, end marks and sizes together."""
        return runlog.judge(self._job.expected(beam_number), exit_code, log_tail, products)

    def read_dose(self, plan: IonPlan, beam: Beam, ct: CTVolume, products: Mapping[str, bytes], log: str) -> Dose:
        """Gy per fraction on the CT's grid, mean of the runs. Permanent if not finite, zero, or of another grid."""
        expected = self._job.expected(beam.number)
        requested = requested_in(log)
        if (problem := runlog.check_whole(expected, log)) or requested is None:
            raise Permanent(f"beam {beam.number}: {problem}")
        sent = self._sent_ct(plan, ct)
        runs = [
            output.read_values(product, expected.answer, products, sent.grid, self._flavour.origin)
            for product in expected.products
        ]
        mean, uncertainty = output.mean_and_uncertainty(runs, sent.hu(whole_hounsfield(ct)) > AIR)
        mean *= requested.factor / self._declared(plan)
        dose_type = DoseType(Medium.WATER, Biology.PHYSICAL, Extent.FRACTION)
        return Dose(ct.grid, sent.to_ct_grid(mean, ct.grid.shape), dose_type, beam.number, uncertainty)

    def needs(self) -> Sequence[Need]:
        """The program, its digest if the site names one, stdbuf, and the programs of the site's steps."""
        return self._job.needs()

    def recipe(self) -> Mapping[str, str]:
        """Digests of program and models, and the settings that shape the number."""
        options, flavour = self._options, self._flavour
        return {
            "engine": "moqui",
            "flavour": flavour.name,
            "engine_sha256": options.program_sha256 or "not checked",
            "dose": "physical, to water, one fraction"
            + ("" if flavour.physical else f", RBE {options.answer_rbe:g} and {options.answer_extent.value} undone"),
            "histories_per_beam": str(self.histories),
            "seeds": f"{options.seeds}, from {options.seed}",
            "scale": self._scale.value,
            **{f"beam_model/{name}": machine.words for name, machine in self._machines.items()},
            **{f"calibration/{name}": calibration.name for name, calibration in self._calibrations.items()},
        }

    def evidence(self) -> Mapping[str, str]:
        """The recipe, and who vouches for models and calibrations."""
        vouched = {f"beam_model/{name}": machine.commissioning for name, machine in self._machines.items()}
        vouched |= {f"calibration/{name}": one.commissioning for name, one in self._calibrations.items()}
        return with_commissioning(self.recipe(), vouched)

    @property
    def _writes_lists(self) -> bool:
        return self._job.spots.startswith(inputs.COMMON)

    @property
    def _scale(self) -> Scale:
        """Lists that a step of the site writes have counts of their own: only a declared factor makes them absolute."""
        return self._flavour.scale if self._writes_lists or not self._flavour.reads_spots else Scale.DECLARED

    def _problems(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> list[Problem]:
        machine = machine_of(beam, self._machines)
        if found := list(beam_problems(plan, beam, machine.model, ct)):
            return found
        start = problems_of(lambda: self._check_start(beam, machine, ct))
        return [*start, *problems_of(lambda: self._quota(beam))]

    def _check_start(self, beam: Beam, machine: Machine, ct: CTVolume) -> None:
        check_start(beam, ct, snout_of(beam, machine) + self._flavour.start, machine.sad)

    def _sent_ct(self, plan: IonPlan, ct: CTVolume) -> SentCT:
        return sent_ct(ct, [self._beam_path(beam, machine_of(beam, self._machines)) for beam in plan.beams])

    def _beam_path(self, beam: Beam, machine: Machine) -> tuple[BeamPath, float]:
        """The beam's rays, and the height in mm above the isocentre where its protons start."""
        return beam_path_of(beam, machine.sad), snout_of(beam, machine) + self._flavour.start

    def _sent(self, beam: Beam) -> SentBeam:
        machine = machine_of(beam, self._machines)
        scale = machine.protons_per_mu if self._flavour.scale is Scale.RATIO else None
        return SentBeam(
            number=beam.number,
            machine=machine.sent_name,
            gantry_angle=beam.gantry_angle,
            couch_angle=beam.couch_angle,
            isocenter=beam.isocenter,
            snout_position=snout_of(beam, machine),
            sad=machine.sad,
            layers=tuple(
                SentLayer(layer.energy, layer.spots[weights > 0], weights[weights > 0])
                for layer, weights in zip(beam.layers, sent_weights(beam, scale), strict=True)
            ),
        )

    def _quota(self, beam: Beam) -> Quota:
        options, machine = self._options, machine_of(beam, self._machines)
        request = HistoriesRequest(
            histories=-(-options.histories_per_beam // options.seeds),
            most=options.max_histories_per_beam // options.seeds,
            per_batch=options.max_histories_per_batch,
        )
        quota = self._quota_of(beam, machine, request)
        if self._times == 1:
            return quota
        more = math.ceil(quota.histories * self._times)
        return self._quota_of(beam, machine, replace(request, histories=more, most=max(request.most, more)))

    def _quota_of(self, beam: Beam, machine: Machine, request: HistoriesRequest) -> Quota:
        if isinstance(machine.model, BeamFile):
            return quota_by_ratio(beam, machine.model, machine.protons_per_mu, request)
        counts = machine.counts_per_mu if self._scale is Scale.DECLARED else None
        return quota_by_counts(beam, machine.protons_per_mu, request, counts)

    def _lacking(self, machine: Machine) -> str:
        """What would make the machine's dose absolute and is not declared; "" if it is absolute."""
        match self._scale:
            case Scale.RATIO:
                return ""
            case Scale.COUNTS:
                return "" if machine.protons_per_mu else "protons_per_mu"
            case Scale.DECLARED:
                if self._writes_lists and not machine.counts_per_mu:
                    return "counts_per_mu"
                return "" if machine.dose_factor else "dose_factor"

    def _factor(self, machine: Machine, quota: Quota) -> float:
        """What a run's dose must be multiplied by to be Gy, as far as that is known."""
        return (machine.dose_factor or 1.0) if self._scale is Scale.DECLARED else quota.factor

    def _declared(self, plan: IonPlan) -> float:
        """RBE and fractions in the dose of a flavour that cannot be asked for a dose without them."""
        if self._flavour.physical:
            return 1.0
        course = self._options.answer_extent is Extent.COURSE
        return self._options.answer_rbe * (plan.fractions if course else 1)
