"""The sections of a report and their order. Values of checks are taken from verdict.json, never computed again."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.case.identity import Mask
from mqi_communicator.dicom.contours import Labels, Structure
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.report import pictures, provenance, tables
from mqi_communicator.report.analysis import Analysis
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.page import Block, Facts, Page, Paragraph, Picture, Section, SignatureLines
from mqi_communicator.report.text import drawable, one_line
from mqi_communicator.results.documents import CheckDocument, ManifestDocument, VerdictDocument
from mqi_communicator.results.trend import MIN_CASES, TrendPosition
from mqi_communicator.results.verdict import CheckOutcome

_LEGEND = 26  # characters that fit beside the curves
STATEMENT = "RECALCULATION OF A PLAN. Nothing was delivered or measured: this is not evidence of delivery."
_SIGNING = (
    "Signed in the dashboard or with mqi sign: signature.json beside this file names the signer and the digests of "
    "what was signed, and report-signed.pdf shows it. Signed by hand: this form is filled in. Else it is not signed."
)
_SIGNED_BY_HAND = ("decision (accept or reject)", "name", "role", "date and time", "reason", "signature")


@dataclass(frozen=True, slots=True)
class Subject:
    """The case of a report."""

    verdict: VerdictDocument
    manifest: ManifestDocument
    plan: IonPlan
    labels: Labels
    trend: TrendPosition | None = None  # relative to earlier cases of its machine


class LabelPolicy:
    """Decides which labels of plan, beams and structures are shown, by the site's options."""

    def __init__(self, labels: Labels, options: ReportOptions) -> None:
        hidden = {
            "none": (labels.patient_name, labels.patient_id, labels.birth_date),
            "id": (labels.patient_name, labels.birth_date),
            "name": (),
        }[options.identity]
        self._mask = Mask(*hidden)
        self._shown = options.labels

    def typed(self, text: str, otherwise: str) -> str:
        """A label, masked; `otherwise` if labels are not shown or it is empty."""
        return (one_line(self._mask(text)) if self._shown else "") or otherwise

    def structure(self, structure: Structure) -> str:
        """A structure by its name, or by its number and kind."""
        return self.typed(structure.name, f"structure {structure.number} {one_line(structure.kind)}".strip())


def build(subject: Subject, analysis: Analysis, options: ReportOptions) -> Page:
    """The whole report."""
    verdict, policy = subject.verdict, LabelPolicy(subject.labels, options)
    shown = verdict.word.value.replace("_", " ").upper()
    centre = f"{one_line(options.centre)}: " if options.centre else ""
    sample = verdict.constancy
    what = f"Constancy check {sample}" if sample else "Patient QA by recalculation"
    footer = f"constancy {sample} · " if sample else ""
    banner = f"CONSTANCY CHECK {sample}: not patient QA" if sample else ""
    banner = f"NOT FOR QA: {verdict.why}" if verdict.word is CheckOutcome.NOT_JUDGED else banner
    sections = [
        Section("Plan", _plan(subject, analysis, options, policy)),
        Section("Checks", _checks(verdict)),
        *_undecided(subject),
        *_extension(subject),
        *_numbers(subject, analysis, policy),
        *_pictures_of(analysis),
        *_trend(subject),
        Section("Provenance", provenance.blocks(subject.manifest)),
        Section("Glossary", tables.glossary()),
        Section(
            "Signature",
            (
                Paragraph(_SIGNING),
                SignatureLines(_SIGNED_BY_HAND),
            ),
        ),
    ]
    return Page(
        title=f"{centre}{what}, case {verdict.case}",
        statement=STATEMENT,
        outcome=verdict.word.value,
        outcome_text=shown,
        why=verdict.why,
        banner=banner,
        footer=f"{footer}case {verdict.case} · verdict: {shown} · MQI Communicator {subject.manifest.version} · "
        f"judged {subject.manifest.judged or '–'}",
        made=subject.manifest.judged or "",
        sections=tuple(sections),
    )


def _plan(subject: Subject, analysis: Analysis, options: ReportOptions, policy: LabelPolicy) -> tuple[Block, ...]:
    plan, labels = subject.plan, subject.labels
    rows: list[tuple[str, str]] = []
    if options.identity in ("id", "name"):
        rows.append(("patient id", one_line(labels.patient_id) or "–"))
    if options.identity == "name":
        rows.append(("patient name", one_line(labels.patient_name) or "–"))
        rows.append(("birth date", one_line(labels.birth_date) or "–"))
    machines = ", ".join(sorted({one_line(beam.machine) for beam in plan.beams}))
    dose_type = next((check.note for check in subject.verdict.checks if check.name == "dose_meaning"), "")
    gy = labels.prescription_gy
    rows += [
        ("plan", policy.typed(plan.label, "–")),
        ("plan UID", one_line(plan.sop_instance_uid)),
        ("planning system", one_line(plan.manufacturer) or "–"),
        ("treatment machine", machines),
        ("fractions", str(plan.fractions)),
        ("prescription", f"{gy:.2f} Gy in {plan.fractions} fractions" if gy else "none in the plan"),
        ("CT", _ct(analysis)),
        ("computed with", f"{subject.manifest.engine.get('engine', '–')}, {provenance.hosts_text(subject.manifest)}"),
        ("dose type", dose_type or "none: no planned dose"),
        ("question", subject.verdict.question),
    ]
    return Facts(tuple(rows)), tables.beams(plan, policy.typed)


def _ct(analysis: Analysis) -> str:
    (nz, ny, nx), (dx, dy, dz) = analysis.ct.shape, analysis.ct.spacing
    size = f"{nz} slices of {nx} x {ny}, voxels of {dx:g} x {dy:g} x {dz:g} mm"
    return f"{one_line(analysis.scanner.replace('|', ' · '))}: {size}"


def _checks(verdict: VerdictDocument) -> tuple[Block, ...]:
    scopes = list(dict.fromkeys(check.scope for check in verdict.checks))
    scopes.sort(key=lambda scope: scope != "plan")
    ordered = [check for scope in scopes for check in verdict.checks if check.scope == scope]
    return (
        Paragraph("All checks with value and limit. The verdict is the worst outcome.", small=True),
        tables.checks(ordered),
    )


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
    known = pictures.glyphs()
    return [one_line(drawable(name, known), _LEGEND) for name in names]
