"""One plan on one CT for MCsquare: its input files and its doses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent
from mqi_communicator.dose.checks import raise_problems, record_problems
from mqi_communicator.dose.engine import GpuDemand, PreparedCase
from mqi_communicator.dose.mcsquare import inputs, output, runlog
from mqi_communicator.dose.mcsquare.basis import curve_of, model_of, reasons_not_to_judge
from mqi_communicator.dose.mcsquare.range_shifters import sent_shifters, with_shifters
from mqi_communicator.dose.mcsquare.setup import Setup
from mqi_communicator.dose.mcsquare.shifter_log import shifter_problem


class MCsquareCase:
    """See `EngineCase`."""

    def __init__(self, setup: Setup, prepared: PreparedCase) -> None:
        self._setup, self._case = setup, prepared

    def basis(self) -> tuple[str, ...]:
        """Example models and curves, and those that nobody commissioned."""
        return tuple(
            reasons_not_to_judge(self._case.plan, self._case.ct, self._setup.models, self._setup.curves),
        )

    def cautions(self) -> tuple[Caution, ...]:
        """None."""
        return ()

    def files(self) -> Mapping[str, bytes]:
        """CT, curve and beam models for all beams; plan and configuration for each."""
        plan, ct, setup = self._case.plan, self._case.ct, self._setup
        models = {beam.number: model_of(beam, setup.models) for beam in plan.beams}
        curve = curve_of(ct, setup.curves)
        raise_problems(record_problems(plan))
        raise_problems(setup.refusals(self._case))
        sent = {beam.number: sent_shifters(beam, models[beam.number].shifters) for beam in plan.beams}
        common = {
            **inputs.ct_files(ct),
            "HU_Density.txt": curve.density,
            "HU_Material.txt": curve.material,
            "expected.txt": inputs.expected_file(ct.grid, sent),
        }
        files = {f"common/{name}": data for name, data in common.items()}
        for beam in plan.beams:
            model = with_shifters(models[beam.number].text, sent[beam.number])
            folder, model_file = f"beam-{beam.number}", _model_file(model)
            files[f"common/{model_file}"] = model
            files[f"{folder}/config.txt"] = inputs.config_file(setup.options, beam, model_file)
            files[f"{folder}/plan.txt"] = inputs.plan_file(beam, ct.grid)
        return files

    def gpu_demand(self) -> GpuDemand | None:
        """None: it computes on the CPU."""
        return None

    def read_dose(self, beam: int, products: Mapping[str, bytes], log: str) -> Dose:
        """Gy per fraction, to the configured medium."""
        planned, grid = self._case.beam(beam), self._case.ct.grid
        model = model_of(planned, self._setup.models)
        sent = sent_shifters(planned, model.shifters)
        if problem := runlog.check_whole(log) or shifter_problem(log, sent, whole=True):
            raise Permanent(f"beam {beam}: {problem}")
        missing = [name for name in (runlog.HEADER, runlog.DOSE) if name not in products]
        if missing:
            raise Permanent(f"beam {beam}: {', '.join(missing)} was not fetched from the host")
        protons = output.delivered_protons(planned, model)
        gy = output.dose_gy(products[runlog.HEADER], products[runlog.DOSE], grid, protons)
        dose_type = DoseType(self._setup.options.dose_to, Biology.PHYSICAL, Extent.FRACTION)
        return Dose(grid, gy, dose_type, beam, runlog.uncertainty(log))


def _model_file(text: bytes) -> str:
    return f"model-{hashlib.sha256(text).hexdigest()[:12]}.txt"
