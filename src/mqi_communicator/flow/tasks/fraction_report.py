"""The report on one fraction, drawn from the admitted records, the plan and the verdict as delivered."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.contours import read_labels
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.delivered import recorded_fraction
from mqi_communicator.flow.tasks.engine_input import read_plan
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.flow.tasks.manifest import Record, manifest_of
from mqi_communicator.flow.tasks.report_files import DATA, HTML, NAMES, PDF, remove_report
from mqi_communicator.flow.tasks.report_writing import redraw, write_report
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.report.fraction import FractionSubject, build, record
from mqi_communicator.report.html import html
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.pdf import pdf
from mqi_communicator.results.delivered.documents import DeliveryDocument
from mqi_communicator.results.documents import DELIVERY, ManifestDocument
from mqi_communicator.results.options import JudgementOptions


def prepare_fraction_report(
    spool: Spool, made: Record, sources: FractionSources, judgement: JudgementOptions, options: ReportOptions
) -> None:
    """Write the report into the spool's `results/`, which holds the verdict. Do nothing if the report exists.

    Permanent if it cannot be drawn; DiskFull.
    """
    if all((spool.results / name).is_file() for name in NAMES):
        return
    remove_report(spool)
    write_report(spool.results, _build(spool.results, manifest_of(spool, made), sources, judgement, options))


def redraw_fraction_report(
    spool: Spool, delivered: Path, sources: FractionSources, judgement: JudgementOptions, options: ReportOptions
) -> None:
    """Draw the report of a delivered fraction again, in its folder, and update its manifest.

    Permanent if the results are signed, or do not match their manifest; DiskFull.
    """
    redraw(spool, delivered, lambda manifest: _build(delivered, manifest, sources, judgement, options))


def _build(
    results: Path,
    manifest: ManifestDocument,
    sources: FractionSources,
    judgement: JudgementOptions,
    options: ReportOptions,
) -> dict[str, bytes]:
    document = DeliveryDocument.model_validate_json((results / DELIVERY).read_bytes())
    plan = read_plan(sources.plan_case)
    (plan_file,) = load_manifest(sources.plan_case.manifest).of(Kind.PLAN)
    labels = read_labels(sources.plan_case.case / plan_file.stored)
    (judged,) = document.fractions
    fraction, _ = recorded_fraction(plan, judged.label, sources)
    subject = FractionSubject(fraction, document, manifest, plan, labels)
    page = build(subject, judgement, options)
    return {HTML: html(page), PDF: pdf(page), DATA: record(page, subject, judgement)}
