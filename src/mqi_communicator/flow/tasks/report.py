"""The report of one case, drawn from the admitted files and the results as delivered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.contours import read_contours, read_labels
from mqi_communicator.dicom.ct import position_of, read_ct
from mqi_communicator.dicom.positions import settled
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, IonPlan, Medium
from mqi_communicator.dicom.rtdose import dose_facts, read_part, read_rtdose
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import delivered_spots, own_conventions, read_plan
from mqi_communicator.flow.tasks.manifest import Record, manifest_of
from mqi_communicator.flow.tasks.prepared_case import admitted_ct
from mqi_communicator.flow.tasks.report_files import DATA, HTML, NAMES, PDF, remove_report
from mqi_communicator.flow.tasks.report_writing import disk_full, redraw, write_report
from mqi_communicator.flow.tasks.viewer import write_viewer
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.report.analysis import ReportInput, analyse
from mqi_communicator.report.content import Subject, build
from mqi_communicator.report.html import html
from mqi_communicator.report.labels import LabelPolicy
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.pdf import pdf
from mqi_communicator.report.record import record
from mqi_communicator.report.viewer import ViewerFile, viewer_file
from mqi_communicator.results.documents import (
    VERDICT,
    ManifestDocument,
    VerdictDocument,
)
from mqi_communicator.results.dose_type import convention_for
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.results.sums import summed_on
from mqi_communicator.results.trend import TrendPosition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def prepare_report(
    spool: Spool,
    record: Record,
    judgement: JudgementOptions,
    conventions: Mapping[str, DoseConvention],
    options: ReportOptions,
    trend: TrendPosition | None = None,
) -> None:
    """Write the report into the spool's `results/`, which holds the verdict and the doses, and the viewer's file into
    the spool. Do nothing if the report exists.

    Permanent if it cannot be drawn; DiskFull.
    """
    if all((spool.results / name).is_file() for name in NAMES):
        return
    remove_report(spool)
    made, viewed = build_report(
        spool, spool.results, manifest_of(spool, record), judgement, conventions, options, trend
    )
    with disk_full():
        write_viewer(spool, viewed)
    write_report(spool.results, made)


def redraw_report(
    spool: Spool,
    delivered: Path,
    judgement: JudgementOptions,
    conventions: Mapping[str, DoseConvention],
    options: ReportOptions,
    trend: TrendPosition | None = None,
) -> None:
    """Draw the report of delivered results again, in their folder, and update their manifest.

    Permanent if the results are signed, or do not match their manifest; DiskFull.
    """
    redraw(
        spool,
        delivered,
        lambda manifest: build_report(spool, delivered, manifest, judgement, conventions, options, trend)[0],
    )


def build_report(
    spool: Spool,
    results: Path,
    manifest: ManifestDocument,
    judgement: JudgementOptions,
    conventions: Mapping[str, DoseConvention],
    options: ReportOptions,
    trend: TrendPosition | None = None,
) -> tuple[dict[str, bytes], ViewerFile]:
    """The report of the verdict and the doses in `results`, by file name, and what the viewer shows of them.

    Permanent if the admitted files, with the CT and the planned doses, no longer exist.
    """
    if not spool.manifest.is_file():
        raise Permanent("the admitted files of this case no longer exist", "a report needs its CT and its plan")
    admitted = load_manifest(spool.manifest)
    plan_file, *_ = admitted.of(Kind.PLAN)
    ct_files = [spool.case / file.stored for file in admitted.of(Kind.CT)]
    plan = settled(read_plan(spool), position_of(ct_files[0]))
    convention = convention_for(plan.manufacturer, own_conventions(delivered_spots(spool), plan, conventions))
    labels = read_labels(spool.case / plan_file.stored)
    material = ReportInput(
        plan=plan,
        labels=labels,
        ct=lambda: admitted_ct(spool) or read_ct(ct_files),
        structures=tuple(s for file in admitted.of(Kind.STRUCTURES) for s in read_contours(spool.case / file.stored)),
        planned=_planned([spool.case / file.stored for file in admitted.of(Kind.DOSE)], plan, convention),
        computed=lambda beam, near: _computed(results / _dose_file(beam), _meaning(convention), beam, near),
    )
    verdict = VerdictDocument.model_validate_json((results / VERDICT).read_bytes())
    analysis = analyse(material, judgement, options.criteria, _meaning(convention).extent)
    subject, dose_type = Subject(verdict, manifest, plan, labels, trend), _meaning(convention)
    viewed = viewer_file(subject, analysis, material.structures, dose_type, options)
    page = build(subject, analysis, options)
    data = record(page, analysis, dose_type, LabelPolicy(labels, options).structure)
    return {HTML: html(page), PDF: pdf(page), DATA: data}, viewed


def _dose_file(beam: int | None) -> str:
    return "dose/plan.dcm" if beam is None else f"dose/beam-{beam}.dcm"


def _computed(path: Path, dose_type: DoseType, beam: int | None, near: NDArray[np.float64] | None) -> Dose:
    dose = read_rtdose(path, dose_type) if near is None else read_part(path, dose_type, near, 0.0)
    return replace(dose, beam_number=beam)


def _meaning(convention: DoseConvention | None) -> DoseType:
    """Of the delivered doses: that of the planned ones; without a convention the whole course."""
    return convention.dose_type if convention else DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)


def _planned(
    paths: Sequence[Path], plan: IonPlan, convention: DoseConvention | None
) -> Callable[[int | None], Dose | None]:
    """The planned dose of a beam, or of the plan (as it was planned, else the sum of all its beams)."""
    if convention is None:
        return lambda _: None
    dose_type = convention.dose_type
    by_beam: dict[int | None, Path] = {}
    for path in paths:
        own = dose_facts(path).beam_number
        by_beam.setdefault(None if own is None else plan.number_of(own), path)
    numbers = [beam.number for beam in plan.beams]

    def read(beam: int | None) -> Dose | None:
        if beam in by_beam:
            return read_rtdose(by_beam[beam], dose_type)
        if beam is not None:
            return read(None) if len(numbers) == 1 and None in by_beam else None
        if all(number in by_beam for number in numbers):
            doses = [read_rtdose(by_beam[number], dose_type) for number in numbers]
            return summed_on(doses, doses[0].grid)
        return None

    return read
