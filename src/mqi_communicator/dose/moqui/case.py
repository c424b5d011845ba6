"""One plan on one CT for moqui: its input files and its doses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.outgoing_ct import ct_content, ct_files, whole_hounsfield
from mqi_communicator.dicom.outgoing_plan import SentBeam, SentLayer, plan_file
from mqi_communicator.dicom.records import Beam, Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.dose.checks import raise_problems, record_problems
from mqi_communicator.dose.engine import GpuDemand, PreparedCase
from mqi_communicator.dose.moqui import inputs, output, runlog
from mqi_communicator.dose.moqui.air import air_cautions
from mqi_communicator.dose.moqui.basis import calibration_of, machine_of, reasons_not_to_judge, snout_of
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.device_checks import Point
from mqi_communicator.dose.moqui.device_notes import device_cautions
from mqi_communicator.dose.moqui.flavour import Scale
from mqi_communicator.dose.moqui.geometry import SentCT, sent_ct, sent_shape
from mqi_communicator.dose.moqui.histories import Quota, sent_weights
from mqi_communicator.dose.moqui.reading import check_input
from mqi_communicator.dose.moqui.requested import FILE, RequestedRun, requested_in
from mqi_communicator.dose.moqui.setup import Setup
from mqi_communicator.dose.moqui.spotlists import spot_lists
from mqi_communicator.dose.outside import AIR

_MIB = 1 << 20


class MoquiCase:
    """See `EngineCase`."""

    def __init__(self, setup: Setup, prepared: PreparedCase) -> None:
        self._setup, self._case = setup, prepared

    def basis(self) -> tuple[str, ...]:
        """Machines and calibrations that nobody commissioned, and relative doses."""
        setup = self._setup
        return tuple(
            reasons_not_to_judge(self._case.plan, self._case.ct, setup.machines, setup.calibrations, setup.lacking)
        )

    def cautions(self) -> tuple[Caution, ...]:
        """How much of moqui's dense air each beam crosses before the patient, and what was assumed of its devices.

        Beams without a machine are left out.
        """
        setup, ct = self._setup, self._case.ct
        known = [beam for beam in self._case.plan.beams if beam.machine in setup.machines]
        beam_paths = [setup.beam_path(beam, setup.machines[beam.machine]) for beam in known]
        air = air_cautions(sent_ct(ct, beam_paths).part_of(ct), beam_paths, setup.options.air_mm_water)
        return (*air, *(one for beam in known for one in self._device_cautions(beam)))

    def _device_cautions(self, beam: Beam) -> Iterator[Caution]:
        setup, machine = self._setup, machine_of(beam, self._setup.machines)
        if isinstance(machine.model, BeamFile):
            line, snout = setup.beamline(beam, machine), snout_of(beam, machine)
            yield from device_cautions(beam, line, machine.model, snout, setup.flavour.start)

    def files(self) -> Mapping[str, bytes]:
        """De-identified CT and plan, beam files and spot lists for all beams; one input file per run and number of GPUs
        for each, read back before it is sent."""
        plan, ct, setup = self._case.plan, self._case.ct, self._setup
        calibration_of(ct, setup.calibrations)
        for beam in plan.beams:
            machine_of(beam, setup.machines)
        raise_problems(record_problems(plan))
        raise_problems(setup.refusals(self._case))
        quotas = {beam.number: setup.quota(beam) for beam in plan.beams}
        files = {f"common/{name}": data for name, data in self._common_files(quotas).items()}
        for beam in plan.beams:
            files |= {f"beam-{beam.number}/{name}": data for name, data in self._beam_files(beam, quotas[beam.number])}
        return files

    def gpu_demand(self) -> GpuDemand | None:
        """As many GPUs as the site allows for a beam, at least one; memory grows with the CT."""
        options, voxels = self._setup.options, math.prod(sent_shape(self._case.ct))
        mib = options.gpu_base_mib + -(-options.gpu_bytes_per_voxel * voxels // _MIB)
        return GpuDemand(most=options.gpus_per_beam, least=1, mib=mib)

    def read_dose(self, beam: int, products: Mapping[str, bytes], log: str) -> Dose:
        """Gy per fraction, to water, mean of the runs."""
        setup, ct = self._setup, self._case.ct
        layout = setup.programs.layout(beam)
        requested = requested_in(log)
        if (problem := runlog.check_whole(layout, log)) or requested is None:
            raise Permanent(f"beam {beam}: {problem}")
        runs = [
            output.read_values(product, layout.read_format, products, self._sent_grid, setup.flavour.origin)
            for product in layout.dose_paths(requested.devices)
        ]
        in_patient = self._sent_ct.hu(whole_hounsfield(ct)) > AIR
        mean, uncertainty = output.mean_and_uncertainty(runs, in_patient)
        mean *= requested.factor / setup.included(self._case.plan)
        dose_type = DoseType(Medium.WATER, Biology.PHYSICAL, Extent.FRACTION)
        return Dose(ct.grid, self._sent_ct.to_ct_grid(mean, ct.grid.shape), dose_type, beam, uncertainty)

    @cached_property
    def _origin(self) -> Point:
        return self._setup.origin(self._case.plan)

    @property
    def _sent_grid(self) -> Grid:
        """The grid that is sent, in the coordinates that are sent."""
        return replace(self._sent_ct.grid, origin=_from(self._origin, self._sent_ct.grid.origin))

    @cached_property
    def _sent_ct(self) -> SentCT:
        return self._setup.sent_ct(self._case.plan, self._case.ct)

    def _common_files(self, quotas: Mapping[int, Quota]) -> dict[str, bytes]:
        setup, beams = self._setup, self._case.plan.beams
        grid, hu = self._sent_grid, self._sent_ct.hu(whole_hounsfield(self._case.ct))
        content = ct_content(grid, hu)
        dicom = {**ct_files(grid, hu, content), "RP.dcm": plan_file([self._sent(beam) for beam in beams], content)}
        files = {f"{inputs.DICOM}/{name}": data for name, data in dicom.items()}
        if setup.flavour.reads_beam_file:
            machines = (machine_of(beam, setup.machines) for beam in beams)
            files |= {one.file: one.model.text for one in machines if isinstance(one.model, BeamFile)}
        if setup.writes_lists:
            files |= spot_lists([(beam, quotas[beam.number].counts_per_mu) for beam in beams])
        return files

    def _beam_files(self, beam: Beam, quota: Quota) -> Iterator[tuple[str, bytes]]:
        setup, programs = self._setup, self._setup.programs
        machine, calibration = machine_of(beam, setup.machines), calibration_of(self._case.ct, setup.calibrations)
        models = inputs.ModelInputs(machine.file, machine.gantry, calibration.name, programs.spots)
        voxels, histories = math.prod(self._sent_ct.grid.shape), quota.histories if quota.exact else 0
        line = setup.beamline(beam, machine)
        yield FILE, RequestedRun(voxels, histories, setup.factor(machine, quota), *line.placed()).text()
        numbers = [one.number for one in self._case.plan.beams]
        for run, gpus in programs.runs_and_gpus():
            text = inputs.input_file(
                setup.flavour,
                models,
                quota,
                beam=beam.number,
                seed=setup.options.seed + (run - 1) * inputs.SEED_STEP,
                output=inputs.output_folder(setup.options.seeds, run),
                dose_format=programs.requested_format,
                gpus=gpus,
                temp=inputs.temp_folder(run),
                more=line.input_lines(),
            )
            check_input(text, setup.flavour, numbers)
            yield inputs.input_name(run, gpus), text

    def _sent(self, beam: Beam) -> SentBeam:
        machine = machine_of(beam, self._setup.machines)
        line = self._setup.beamline(beam, machine)
        scale = machine.protons_per_mu if self._setup.flavour.scale is Scale.RATIO else None
        return SentBeam(
            number=beam.number,
            machine=machine.sent_name,
            gantry_angle=beam.gantry_angle,
            couch_angle=beam.couch_angle,
            isocenter=_from(self._origin, beam.isocenter),
            snout_position=self._setup.snout(beam, machine),
            sad=machine.sad,
            layers=tuple(
                SentLayer(layer.energy, layer.spots[weights > 0], weights[weights > 0])
                for layer, weights in zip(beam.layers, sent_weights(beam, scale), strict=True)
            ),
            shifter=line.sent_shifter(),
            aperture=line.sent_aperture(),
        )


def _from(origin: Point, point: Point) -> Point:
    """The position of a point, seen from an origin."""
    x, y, z = (there - here for there, here in zip(point, origin, strict=True))
    return x, y, z
