"""Judged cases without running an engine: a sample is admitted, its dose is known, all else is the product's code.

What the engine would have computed follows from the sample's own planned dose: moved along a beam, shifted, noisy.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mqi_communicator.demo.planned import planned_dose
from mqi_communicator.demo.sample import SIZES, draft_case
from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_kinds import apply, uids_of
from mqi_communicator.demo.truth import FRACTIONS
from mqi_communicator.dicom.records import Beam, Biology, Dose, DoseType, Extent, Medium
from mqi_communicator.dose.engine import Accepted, PreparedCase
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.beam import keep_beam_dose
from mqi_communicator.flow.tasks.judge import judge_case
from mqi_communicator.flow.tasks.manifest import Record, deliver_case
from mqi_communicator.flow.tasks.report import prepare_report
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Complete
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.spooling import copy_to_spool
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.documents import RunDocument, utc
from mqi_communicator.results.geometry import direction
from mqi_communicator.results.grids import on_grid
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.store.chain import Entry

KEY = "reportcase22"
JUDGEMENT = JudgementOptions.model_validate({"gamma": {"per_beam": False}})
CONVENTIONS = {
    "MQI SAMPLE": DoseConvention(medium=Medium.MEDIUM, biology=Biology.PHYSICAL, extent=Extent.COURSE, rbe_factor=1.1)
}


def _along(beam: Beam, mm: float) -> tuple[float, float, float]:
    x, y, z = direction(beam)
    return mm * x, mm * y, mm * z


MOVED: dict[str, Callable[[Beam], tuple[float, float, float]]] = {
    "range-error": lambda beam: _along(beam, 5.0),
    "shift-error": lambda _: (0.0, 0.0, 3.0),
}


@dataclass(frozen=True)
class KnownDose:
    """An engine whose dose of each beam is known."""

    kind: str
    size: str
    noise: float  # relative, where the dose is highest; also what it reports
    reasons: tuple[str, ...] = ()
    name: str = "known"
    model: str = "sha256 aaaa"  # of every machine

    def recipe(self):
        return {"engine": "known", "histories_per_beam": "200000", "beam_model/MQI-DEMO": self.model}

    def evidence(self):
        return {name: f"{words}, commissioned" for name, words in self.recipe().items()}

    def machine(self, _beam):
        return None

    def tube_voltage(self, _ct):
        return None

    def ratio(self, _ct):
        return None

    def job(self, _request):
        return KnownJob()

    def case(self, prepared):
        return KnownCase(self, prepared)


class KnownJob:
    """A job whose run is always good."""

    def judge(self, _exit_code, _log_tail, _products):
        return Accepted({})


@dataclass(frozen=True)
class KnownCase:
    """One case of the known engine."""

    engine: KnownDose
    prepared: PreparedCase

    def basis(self):
        return self.engine.reasons

    def cautions(self):
        return ()

    def read_dose(self, number, _products, _log):
        beam, ct, noise = self.prepared.beam(number), self.prepared.ct, self.engine.noise
        size = SIZES[self.engine.size]
        dose_type = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.FRACTION)
        gy = (planned_dose(size)[beam.number] / FRACTIONS).astype(np.float32)
        away = MOVED[self.engine.kind](beam) if self.engine.kind in MOVED else (0.0, 0.0, 0.0)
        there = on_grid(Dose(size.dose_grid, gy, dose_type, beam.number), ct.grid, tuple(-part for part in away))
        clean = np.nan_to_num(there)
        rough = np.random.default_rng(beam.number).normal(size=clean.shape)
        noisy = np.maximum(clean + noise * np.sqrt(clean * clean.max()) * rough, 0)
        return Dose(ct.grid, noisy.astype(np.float32), dose_type, beam.number, noise)


@dataclass(frozen=True)
class Judged:
    """A judged case in a spool, ready to be reported."""

    spool: Spool
    record: Record
    word: str
    judgement: JudgementOptions

    def report(self, **options: object) -> tuple[str, bytes]:
        """The HTML and the PDF."""
        prepare_report(self.spool, self.record, self.judgement, CONVENTIONS, ReportOptions.model_validate(options))
        return (self.spool.results / "report.html").read_text("utf-8"), (self.spool.results / "report.pdf").read_bytes()

    def deliver(self, results: Path) -> Path:
        """The delivered folder."""
        results.mkdir(exist_ok=True)
        return deliver_case(self.spool, self.record, results)


def judged(
    folder: Path,
    kind: str = "pass",
    size: str = "tiny",
    *,
    noise: float = 0.01,
    change: Callable[[Draft], None] | None = None,
    reasons: tuple[str, ...] = (),
    judgement: JudgementOptions | None = None,
) -> Judged:
    """Admit a sample (after a change of your own), give it its dose, and judge it.

    A sample that is asked for again, unchanged, is a copy of the first one.
    """
    if change is not None or judgement is not None:
        return _judged(folder, kind, size, noise, change, reasons, judgement or JUDGEMENT)
    base, made = _template(kind, size, noise, reasons)
    shutil.copytree(base.name, folder, dirs_exist_ok=True)
    return replace(made, spool=Spool(folder / "spool" / KEY))


@cache
def _template(kind: str, size: str, noise: float, reasons: tuple[str, ...]) -> tuple[TemporaryDirectory[str], Judged]:
    base: TemporaryDirectory[str] = TemporaryDirectory(prefix="judged-")
    return base, _judged(Path(base.name), kind, size, noise, None, reasons, JUDGEMENT)


def _judged(
    folder: Path,
    kind: str,
    size: str,
    noise: float,
    change: Callable[[Draft], None] | None,
    reasons: tuple[str, ...],
    judgement: JudgementOptions,
) -> Judged:
    draft = draft_case(size, uids_of(kind, size, 1))
    apply(kind, draft)
    if change is not None:
        change(draft)
    watched = folder / "watched"
    for name, made in draft.files.items():
        (watched / name).parent.mkdir(parents=True, exist_ok=True)
        (watched / name).write_bytes(made if isinstance(made, bytes) else encode(made))
    spool = Spool(folder / "spool" / KEY)
    found = examine(watched, IntakeOptions(), still_for=1e6)
    assert isinstance(found, Complete), found
    admitted = copy_to_spool(watched, spool.case, found)
    engine: Any = KnownDose(kind, size, noise, reasons)
    preparer = Preparer(engine, PreparationOptions())
    spool.recipe.write_text(json.dumps(engine.recipe()))
    tokens = {number: f"{KEY}-b{number}-r1" for number, _ in admitted.beams}
    for number, token in tokens.items():
        spool.back(token).mkdir(parents=True)
        (spool.back(token) / "log").write_text("")
        keep_beam_dose(spool, number, token, preparer, {})
    basis = Basis("0.1.0", "c" * 64)
    word, _why, _digests = judge_case(spool, tokens, preparer, judgement, CONVENTIONS, basis)
    runs = [
        RunDocument(beam=n, token=token, run=1, host="gpu1", started=utc(50.0), ended=utc(80.0))
        for n, token in tokens.items()
    ]
    history = [
        Entry(n, n, at, KEY, 0, "step.done", step, "ready", "ready", "mqi", "", "{}", 64 * "0")
        for n, (at, step) in enumerate(((10.0, "admit"), (100.0, "compare")), start=1)
    ]
    evidence = {"engine": "known", "histories_per_beam": "200000"}
    return Judged(spool, Record(runs, history, evidence, basis), word, judgement)


def renamed(**names: str) -> Callable[[Draft], None]:
    """A change: other words in the plan, its beams, its structures, its patient."""

    def change(draft: Draft) -> None:
        plan, structures = draft.object("RP.dcm"), draft.object("RS.dcm")
        for ds in draft.objects():
            ds.SpecificCharacterSet = "ISO_IR 192"
            ds.PatientName = names.get("patient", "MQI^SAMPLE")
            ds.PatientID = names.get("patient_id", "MQI-SAMPLE")
        plan.RTPlanLabel = names.get("plan", plan.RTPlanLabel)
        plan.IonBeamSequence[0].BeamName = names.get("beam", "F1")
        structures.StructureSetROISequence[1].ROIName = names.get("structure", "Target")

    return change
