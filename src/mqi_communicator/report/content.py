"""The sections of a report and their order. Values of checks are taken from verdict.json, never computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mqi_communicator.dicom.contours import Labels
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.report import goal_table, pictures, plan_facts, provenance, summary, tables
from mqi_communicator.report.analysis import Analysis
from mqi_communicator.report.drawing import glyphs
from mqi_communicator.report.labels import LabelPolicy
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.page import Block, Facts, Page, Paragraph, Picture, Section
from mqi_communicator.report.text import drawable, one_line, printed, titled
from mqi_communicator.report.times import local
from mqi_communicator.results.documents import CheckDocument, ManifestDocument, VerdictDocument
from mqi_communicator.results.trend import MIN_CASES, TrendPosition
from mqi_communicator.results.verdict import CheckOutcome

_BEAMS = 8  # on the first page
_LEGEND = 26  # characters that fit beside the curves
STATEMENT = "RECALCULATION OF A PLAN. Nothing was delivered or measured: this is not evidence of delivery."
OF_FRACTION = "DOSE OF A RECORDED FRACTION: of what the machine recorded, not of what the patient received."
_CHECKS = "All checks with value and limit. The verdict is the worst outcome."


@dataclass(frozen=True, slots=True)
class Subject:
    """The case of a report."""

    verdict: VerdictDocument
    manifest: ManifestDocument
    plan: IonPlan
    labels: Labels
    trend: TrendPosition | None = None  # relative to earlier cases of its machine


def build(subject: Subject, analysis: Analysis, options: ReportOptions) -> Page:
    """The whole report."""
    verdict, policy = subject.verdict, LabelPolicy(subject.labels, options)
    shown = printed(verdict.word)
    sample = verdict.constancy
    what = f"Constancy check {sample}" if sample else "Patient QA by recalculation"
    what = f"Dose of {verdict.fraction} as recorded" if verdict.fraction else what
    footer = f"constancy {sample} · " if sample else f"dose of {verdict.fraction} · " if verdict.fraction else ""
    banner = f"CONSTANCY CHECK {sample}: not patient QA" if sample else ""
    banner = f"NOT FOR QA: {verdict.why}" if verdict.word is CheckOutcome.NOT_JUDGED else banner
    name = _names(analysis, policy)
    sections = [
        Section("Plan and computation", _plan(subject, analysis, policy)),
        Section("Checks", tables.checks_by_scope(verdict.checks, "plan", _CHECKS)),
        *_undecided(subject),
        *_extension(subject),
        *_goals(verdict, name),
        *_numbers(subject, analysis, policy),
        *_pictures_of(analysis),
        *_trend(subject),
        Section("Glossary", tables.glossary()),
        Section("Provenance", provenance.blocks(subject.manifest)),
    ]
    return Page(
        title=titled(f"{what}, case {verdict.case}", options.centre),
        statement=OF_FRACTION if verdict.fraction else STATEMENT,
        outcome=verdict.word.value,
        outcome_text=shown,
        why=verdict.why,
        banner=banner,
        footer=f"{footer}case {verdict.case} · verdict: {shown} · MQI Communicator {subject.manifest.version} · "
        f"judged {local(subject.manifest.judged)}",
        summary=_summary(subject, options, policy, name),
        signature=summary.FORM,
        made=subject.manifest.judged or "",
        sections=tuple(sections),
    )


def _names(analysis: Analysis, policy: LabelPolicy) -> Callable[[int], str]:
    """The shown names of structures, by number."""
    known = {structure.number: policy.structure(structure) for structure in analysis.structures}
    return lambda number: known.get(number, f"structure {number}")


def _summary(
    subject: Subject, options: ReportOptions, policy: LabelPolicy, name: Callable[[int], str]
) -> tuple[Section, ...]:
    """The first page."""
    plan, manifest, verdict = subject.plan, subject.manifest, subject.verdict
    facts = [
        *plan_facts.patient(subject.labels, options.identity),
        *plan_facts.plan(plan, subject.labels, policy),
        *([("site", one_line(options.centre))] if options.centre else []),
        ("computed with", f"{manifest.engine.get('engine', '–')}, {provenance.hosts_text(manifest)}"),
        ("received", local(manifest.admitted)),
        ("judged", local(manifest.judged)),
    ]
    beams = plan_facts.short_beams(plan, policy, _BEAMS)
    return summary.sections(facts, beams, len(plan.beams) - _BEAMS, verdict.checks, verdict.goals, name)


def _plan(subject: Subject, analysis: Analysis, policy: LabelPolicy) -> tuple[Block, ...]:
    dose_type = next((check.note for check in subject.verdict.checks if check.name == "dose_meaning"), "")
    rows = [
        ("question", subject.verdict.question),
        *([("planned dose", "the recalculated dose of the plan")] if subject.verdict.fraction else []),
        ("dose type", dose_type or "none: no planned dose"),
        ("CT", _ct(analysis)),
        ("plan UID", one_line(subject.plan.sop_instance_uid)),
    ]
    return plan_facts.beams(subject.plan, policy), Facts(tuple(rows))


def _goals(verdict: VerdictDocument, name: Callable[[int], str]) -> tuple[Section, ...]:
    """The clinical goals, if the site has any for these structures."""
    if not verdict.goals:
        return ()
    decides = any(check.name == "clinical_goals" for check in verdict.checks)
    return (Section("Clinical goals", goal_table.blocks(verdict.goals, name, decides=decides)),)


def _ct(analysis: Analysis) -> str:
    (nz, ny, nx), (dx, dy, dz) = analysis.ct.shape, analysis.ct.spacing
    size = f"{nz} slices of {nx} x {ny}, voxels of {dx:g} x {dy:g} x {dz:g} mm"
    return f"{one_line(analysis.scanner.replace('|', ' · '))}: {size}"


def _undecided(subject: Subject) -> tuple[Section, ...]:
    """The number of histories that an undecided case needs."""
    noisy = _noisy(subject.verdict.checks)
    if noisy is None or noisy.value is None:
        return ()
    return (Section("Required histories", (Paragraph(tables.histories(noisy, subject.manifest.engine)),)),)


def _extension(subject: Subject) -> tuple[Section, ...]:
    """The longer run, if one was declared."""
    extension = subject.verdict.extension
    return (Section("Longer run", (Paragraph(tables.longer_run(extension)),)),) if extension is not None else ()


def _trend(subject: Subject) -> tuple[Section, ...]:
    """The case compared with earlier ones, if there are enough of them."""
    trend = subject.trend
    if trend is None or len(trend.before.rows) < MIN_CASES:
        return ()
    return (Section(f"Trend of machine {one_line(trend.before.machine)}", tables.trend(trend)),)


def _noisy(checks: tuple[CheckDocument, ...]) -> CheckDocument | None:
    return next(
        (check for check in checks if check.name == "uncertainty" and check.word is CheckOutcome.UNDECIDED), None
    )


def _numbers(subject: Subject, analysis: Analysis, policy: LabelPolicy) -> tuple[Section, ...]:
    made = []
    if analysis.gamma:
        of = " at an even sample of its points" if analysis.gamma[0].sampled else ""
        picture = Picture(
            pictures.gamma_picture(analysis.gamma_values),
            f"Histogram of gamma of the plan{of} for the deciding criterion: blue passes, red fails.",
        )
        made.append(Section("Gamma", (*tables.gamma(analysis.gamma, subject.verdict), picture)))
    made.append(Section("Dose at points", (tables.points(analysis.points),)))
    if analysis.volumes is not None and analysis.volumes.rows:
        names = [policy.structure(structure) for structure, _ in analysis.volumes.rows]
        drawn = len(names[: pictures.MOST_CURVES])
        some = f" Shown: the first {drawn} of {len(names)} structures." if drawn < len(names) else ""
        picture = Picture(
            pictures.dvh_picture(analysis.volumes, _drawable(names)),
            f"Dose-volume histograms: solid planned, dashed computed.{some}",
        )
        made.append(Section("Dose to structures", (*tables.volumes(analysis.volumes, names), picture)))
    return tuple(made)


def _pictures_of(analysis: Analysis) -> tuple[Section, ...]:
    views = [
        Section(
            f"Planes through {view.name}",
            (Picture(pictures.view_picture(view, analysis.top_gy), tables.view_caption(view, analysis)),),
        )
        for view in analysis.views
    ]
    lines = [
        Picture(pictures.profile_picture(profiles), tables.profile_caption(scope))
        for scope, profiles in analysis.profiles
    ]
    return (Section("Profiles", tuple(lines)), *views)


def _drawable(names: list[str]) -> list[str]:
    """The names, shortened to fit into a legend."""
    known = glyphs()
    return [one_line(drawable(name, known), _LEGEND) for name in names]
