"""The report on one fraction. Values of checks are taken from delivery.json, never computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mqi_communicator.case.numbers import fixed
from mqi_communicator.report import fraction_pictures, plan_facts, provenance, summary, tables
from mqi_communicator.report.labels import LabelPolicy
from mqi_communicator.report.page import Facts, Page, Paragraph, Picture, Section, Table
from mqi_communicator.report.record import encoded, facts_of
from mqi_communicator.report.text import one_line, printed, titled
from mqi_communicator.report.times import local, of_plan
from mqi_communicator.results.delivered.judge import is_unknown_size
from mqi_communicator.results.delivered.layer import LayerNumbers, numbers_of
from mqi_communicator.results.delivered.limits import outcome_of
from mqi_communicator.results.verdict import CheckOutcome

if TYPE_CHECKING:
    from mqi_communicator.dicom.contours import Labels
    from mqi_communicator.dicom.records import IonPlan
    from mqi_communicator.report.options import ReportOptions
    from mqi_communicator.results.delivered.documents import DeliveryDocument
    from mqi_communicator.results.delivery_options import DeliveryOptions
    from mqi_communicator.results.documents import CheckDocument, ManifestDocument
    from mqi_communicator.results.options import JudgementOptions
    from mqi_communicator.treatment.fractions import Fraction, FractionBeam

FORMAT = "mqi-delivery-report/1"
STATEMENT = "RECORD OF A DELIVERY: evidence of what the machine recorded, not of what the patient received."
_NONE = "–"
_BEAMS = 8  # on the first page
_CHECKS = "All checks with value and limit. The verdict is the worst outcome; an unrecorded spot size decides nothing."
_GLOSSARY = (
    ("pass, review, fail", "Within the limit for a pass; between the two limits, a physicist decides; beyond both."),
    ("not judged", "Nothing was measured, or the record repeats the plan. It must not be used for QA."),
    ("MU", "As the machine's monitor chambers counted them; their calibration is not checked here."),
    ("offset", "Recorded minus planned position in the isocentre plane; of a layer the mean, weighted by MU."),
    ("fluence", "Largest difference in the isocentre plane in % of the layer's maximum; spots are Gaussians."),
    ("energy", "The energy that was requested. The range of the protons is not checked."),
)
_HEADINGS = (
    "layer", "energy (MeV)", "planned MU", "recorded MU", "difference (%)", "mean offset (mm)", "largest offset (mm)",
    "spot size (%)", "fluence (%)", "missing spots",
)  # fmt: skip


@dataclass(frozen=True)
class FractionSubject:
    """A judged fraction, and what its report is made of. `document` has this fraction alone."""

    fraction: Fraction
    document: DeliveryDocument
    manifest: ManifestDocument  # of the fraction's own case
    plan: IonPlan
    labels: Labels

    @cached_property
    def numbers(self) -> tuple[tuple[LayerNumbers, ...], ...]:
        """Those of the layers of each beam."""
        return tuple(tuple(map(numbers_of, beam.layers)) for beam in self.fraction.beams)


def build(subject: FractionSubject, judgement: JudgementOptions, options: ReportOptions) -> Page:
    """The whole report."""
    (judged,), manifest = subject.document.fractions, subject.manifest
    policy = LabelPolicy(subject.labels, options)
    shown = printed(judged.word)
    beams = tuple(zip(subject.fraction.beams, subject.numbers, strict=True))
    rows = [_beam_row(*one, judged.checks, judgement, policy) for one in beams]
    facts = _facts(subject, options, policy)
    sections = [
        Section("Checks", tables.checks_by_scope(judged.checks, "fraction", _CHECKS)),
        *(section for one in beams for section in _beam(*one, judgement, policy)),
        *_refused(subject.document),
        Section("Glossary", (Facts(_GLOSSARY),)),
        Section("Provenance", provenance.blocks(manifest)),
    ]
    return Page(
        title=titled(f"What the machine recorded: {judged.label}, case {manifest.case}", options.centre),
        statement=STATEMENT,
        outcome=judged.word.value,
        outcome_text=shown,
        why=judged.why,
        banner=f"NOT FOR QA: {judged.why}" if judged.word is CheckOutcome.NOT_JUDGED else "",
        footer=f"case {manifest.case} · {judged.label} of plan {subject.document.case} · verdict: {shown} · "
        f"MQI Communicator {manifest.version} · judged {local(manifest.judged)}",
        summary=summary.sections(facts, _beams(rows[:_BEAMS]), len(rows) - _BEAMS, judged.checks, (), str),
        signature=summary.FORM,
        made=manifest.judged or "",
        sections=tuple(sections),
    )


def record(page: Page, subject: FractionSubject, judgement: JudgementOptions) -> bytes:
    """The report as data, `report.json`, in UTF-8: facts, the numbers of each layer as they were compared, and their
    outcomes."""
    layers = [
        {
            "beam": beam.planned.own_number,
            "layer": layer.index + 1,
            "energy_mev": layer.energy,
            "planned_mu": round(float(layer.planned.sum()), 6),
            "recorded_mu": round(layer.total, 6),
            "mean_offset_mm": round(layer.mean_offset, 4),
            "largest_offset_mm": round(layer.worst_offset, 4),
            "spot_size_percent": _rounded(layer.size_error),
            "fluence_percent": _rounded(layer.fluence),
            "missing_spots": int((~layer.hit).sum()),
            "outcomes": _outcomes(layer, judgement.for_machine(beam.planned.machine).delivery),
        }
        for beam, numbers in zip(subject.fraction.beams, subject.numbers, strict=True)
        for layer in numbers
    ]
    return encoded({"schema": FORMAT, "facts": facts_of(page), "layers": layers})


def _outcomes(layer: LayerNumbers, limits: DeliveryOptions) -> dict[str, object]:
    """The outcome of each number against its limits, which `judge` applies to the worst layer of a beam."""
    graded = {
        "mu": (layer.mu_error(limits.spot_mu_least), limits.layer_mu_pass_percent, limits.layer_mu_review_percent),
        "mean_offset": (layer.mean_offset, limits.layer_position_pass_mm, limits.layer_position_review_mm),
        "largest_offset": (layer.worst_offset, limits.spot_position_pass_mm, limits.spot_position_review_mm),
        "fluence": (layer.fluence, limits.fluence_pass_percent, limits.fluence_review_percent),
    }
    return {
        name: None if value is None else outcome_of(value, (passes, review)).value
        for name, (value, passes, review) in graded.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _facts(subject: FractionSubject, options: ReportOptions, policy: LabelPolicy) -> list[tuple[str, str]]:
    """The facts of the first page."""
    parts = [part for beam in subject.fraction.beams for part in beam.parts]
    of_plan_facts = dict(plan_facts.plan(subject.plan, subject.labels, policy))
    machines = sorted({part.delivery.machine or part.planned.machine for part in parts})
    times = sorted({_time(part.delivery.started) for part in parts} - {""})
    recorded = sum(beam.mu for beam in subject.fraction.beams)
    planned = sum(beam.planned.meterset for beam in subject.fraction.beams)
    return [
        *plan_facts.patient(subject.labels, options.identity),
        *((name, of_plan_facts[name]) for name in ("plan", "plan of", "approval", "prescription")),
        ("fraction", f"{subject.fraction.label}; the plan has {subject.plan.fractions}"),
        ("machine", ", ".join(map(one_line, machines))),
        ("recorded", " to ".join(dict.fromkeys((times[0], times[-1]))) if times else _NONE),
        ("records", str(len(subject.fraction.sources))),
        ("MU", f"{recorded:.2f} recorded, {planned:.2f} planned for these beams"),
        *([("site", one_line(options.centre))] if options.centre else []),
        ("plan case", subject.document.case or _NONE),
        ("judged", local(subject.manifest.judged)),
    ]


def _time(started: str) -> str:
    """A time of a record, which has no zone: YYYYMMDDHHMMSS as far as recorded."""
    return of_plan(started[:8], started[8:])


def _beam_row(
    beam: FractionBeam,
    numbers: Sequence[LayerNumbers],
    checks: Sequence[CheckDocument],
    judgement: JudgementOptions,
    policy: LabelPolicy,
) -> tuple[str, ...]:
    recorded = beam.mu
    number = beam.planned.own_number
    required = judgement.for_machine(beam.planned.machine).delivery.size_required
    words = [
        check.word
        for check in checks
        if check.scope == f"beam {number}" and (required or not is_unknown_size(check.name, check.word))
    ]
    worst = max(words, key=lambda one: one.severity, default=CheckOutcome.NOT_JUDGED)
    return (
        str(number),
        policy.typed(beam.planned.name, _NONE),
        str(len(beam.parts)),
        f"{len(beam.layers)} of {len(beam.planned.layers)}",
        f"{beam.planned.meterset:.2f}",
        f"{recorded:.2f}",
        fixed(100 * (recorded / beam.planned.meterset - 1), 2, sign=True),
        fixed(max((layer.mean_offset for layer in numbers), default=0.0), 2),
        fixed(max((layer.worst_offset for layer in numbers), default=0.0), 2),
        worst.value.replace("_", " "),
    )


def _beams(rows: Sequence[tuple[str, ...]]) -> Table:
    headings = ("beam", "name", "parts", "layers", "planned MU", "recorded MU", "diff. (%)", "layer (mm)", "spot (mm)")
    return Table(
        (*headings, "result"),
        tuple(rows),
        (0.6, 2, 0.7, 1.0, 1.2, 1.3, 1.0, 1.0, 1.0, 1.2),
        outcome_column=9,
        numbers=(2, 4, 5, 6, 7, 8),
    )


def _beam(
    beam: FractionBeam, numbers: Sequence[LayerNumbers], judgement: JudgementOptions, policy: LabelPolicy
) -> Iterator[Section]:
    """Pictures and numbers of one beam."""
    limits = judgement.for_machine(beam.planned.machine).delivery
    if not numbers:
        return
    worst = fraction_pictures.worst_placed(beam.layers, numbers)
    name = policy.typed(beam.planned.name, "")
    title = f"Beam {beam.planned.own_number}" + (f": {name}" if name else "")
    yield Section(
        title,
        (
            Picture(
                fraction_pictures.layers_picture(numbers, limits),
                f"Beam {beam.planned.own_number} by layer: difference of MU in %; mean offset (bars) and largest "
                "offset of a spot (diamonds) in mm; largest difference of fluence in %. Dashed: the limits.",
            ),
            Picture(
                fraction_pictures.offsets_picture(beam.layers, worst, limits),
                "Recorded minus planned position in the isocentre plane, x and y of the gantry (IEC 61217). Left: all "
                "spots, circles are the limits of a spot. Right: the layer with the largest mean offset; grey circles "
                "are planned spots, larger with more MU.",
            ),
            _layers(numbers),
        ),
    )


def _layers(numbers: Sequence[LayerNumbers]) -> Table:
    return Table(_HEADINGS, tuple(map(_layer, numbers)), (0.6, *[1.0] * 9), numbers=tuple(range(10)))


def _layer(layer: LayerNumbers) -> tuple[str, ...]:
    planned = float(layer.planned.sum())
    return (
        str(layer.index + 1),
        f"{layer.energy:g}",
        f"{planned:.3f}",
        f"{layer.total:.3f}",
        fixed(100 * (layer.total / planned - 1), 2, sign=True) if planned else _NONE,
        fixed(layer.mean_offset, 2),
        fixed(layer.worst_offset, 2),
        _NONE if layer.size_error is None else fixed(layer.size_error, 1, sign=True),
        _NONE if layer.fluence is None else fixed(layer.fluence, 1),
        str(int((~layer.hit).sum())),
    )


def _refused(document: DeliveryDocument) -> tuple[Section, ...]:
    """Records that were not judged and may be of this fraction."""
    if not document.refused:
        return ()
    note = "They may be of this fraction, so what they hold is missing above."
    facts = Facts(tuple((one.code, one_line(one.reason, 300)) for one in document.refused))
    return (Section("Records that were refused", (Paragraph(note, small=True), facts)),)
