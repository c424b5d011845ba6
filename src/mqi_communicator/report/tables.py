"""The tables of a report, and their notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mqi_communicator.case.numbers import fixed
from mqi_communicator.report.analysis import Analysis, DvhTable, PointRow
from mqi_communicator.report.gammas import CEILING, MOST_VALUES, GammaRow
from mqi_communicator.report.page import Block, Facts, Paragraph, Table
from mqi_communicator.report.planes import View
from mqi_communicator.report.text import one_line
from mqi_communicator.results.documents import CheckDocument, ExtensionDocument, VerdictDocument, check_of
from mqi_communicator.results.extension import grouped, histories_needed
from mqi_communicator.results.table import value_text
from mqi_communicator.results.trend import COLUMNS, TrendPosition
from mqi_communicator.results.verdict import Check

_NONE = "–"
_NAMES = {
    "dose_meaning": "dose type",
    "planned_sum": "planned sum",
    "beam_doses": "beam doses",
    "dose_scale": "dose scale",
    "ct_ends": "extent of the CT",
    "range_shifter": "range shifter",
    "aperture": "aperture",
    "proton_start": "start of the protons",
    "engine_air": "air in front of the patient",
    "ct_slices": "slices of the CT",
    "patient_position": "patient position",
    "beam_number": "beam number",
    "doses_set_aside": "ignored doses",
    "position_offset": "position offset",
    "range_r80": "range R80",
    "falloff_r80_r20": "falloff R80-R20",
    "penumbra": "penumbra 80-20",
    "approval": "approval",
    "intent": "intent of the plan",
    "source_distance": "source distance",
    "tube_voltage": "tube voltage of the CT",
    "uncertainty": "MC uncertainty",
    "noise_of_both": "noise of both doses",
    "fraction_mu": "fraction MU",
    "beam_mu": "beam MU",
    "layer_mu": "layer MU",
    "spot_mu": "spot MU",
}
_GAMMA = (
    "The planned dose is the reference, normalised to its maximum (global) or to each point (local). Points "
    "at or above the cut-off are counted; one without a computed dose fails. Statistical noise raises the pass rate."
)
_GLOSSARY = (
    (
        "pass, review, fail",
        "Within the limit for a pass; between the two limits, a physicist decides; beyond both limits.",
    ),
    ("undecided", "The Monte Carlo noise is too large for a verdict; more histories are needed."),
    ("not judged", "There is no basis for a verdict. The values are shown but must not be used for QA."),
    ("gamma", _GAMMA),
    ("dose scale", "Median of computed / planned where the planned dose is at least 80 % of its maximum."),
    ("position offset", "The rigid shift that best aligns the computed dose with the planned dose."),
    ("range R80", "Depth of the distal 80 % dose: computed minus planned, median over the rays of the field."),
    (
        "falloff R80-R20",
        "Distance from distal 80 % to 20 %: computed minus planned, median over the rays of the field.",
    ),
    (
        "penumbra 80-20",
        "Distance from 80 % to 20 % across the beam: computed minus planned, median over the edges of the field.",
    ),
    ("•••", "Masked part of the patient's name or id."),
    ("MC uncertainty", "Statistical, one standard deviation, mean where the dose is at least half of its maximum."),
)


def checks(found: Sequence[CheckDocument]) -> Table:
    """One row per check, with the values of verdict.json."""
    rows = tuple(
        (
            check.scope,
            name_of(check.name),
            check.word.value.replace("_", " "),
            value_of(check),
            check.limit,
            _NONE if check.points is None else str(check.points),
            _NONE if check.uncertainty is None else f"{100 * check.uncertainty:.2f} %",
            check.note,
        )
        for check in found
    )
    return Table(
        ("scope", "check", "result", "value", "limit", "points", "MC 1 σ", "note"),
        rows,
        (0.75, 1.15, 0.9, 0.95, 1.9, 0.75, 0.75, 3),
        outcome_column=2,
        numbers=(3, 5, 6),
    )


def checks_by_scope(found: Sequence[CheckDocument], first: str, note: str) -> tuple[Block, ...]:
    """All checks, those of the scope `first` first, below a note."""
    scopes = list(dict.fromkeys(check.scope for check in found))
    scopes.sort(key=lambda scope: scope != first)
    ordered = [check for scope in scopes for check in found if check.scope == scope]
    return Paragraph(note, small=True), checks(ordered)


def _check(check: CheckDocument) -> Check:
    return check_of(check)


def name_of(check: str) -> str:
    """The shown name of a check."""
    return _NAMES.get(check, check.replace("_", " "))


def value_of(check: CheckDocument) -> str:
    """The value of a check with its unit."""
    return value_text(_check(check))


def histories(noisy: CheckDocument, engine: Mapping[str, str]) -> str:
    """How many histories bring the noise below its limit; the factor is in the note of the check."""
    used = engine.get("histories_per_beam", "")
    factor = next((word for word in noisy.note.split(": ")[-1].split() if _is_number(word)), "")
    if not factor:
        return noisy.note
    text = f"The statistical uncertainty is {value_text(_check(noisy))}, its limit is {noisy.limit}. {factor} times as "
    text += "many histories are needed"
    if used.isdigit():
        wanted = histories_needed(int(used), float(factor))
        text += f": about {grouped(wanted)} histories per beam instead of {grouped(int(used))}"
    return (
        text + ". A longer run must be declared beforehand and is made once: repeating until it passes proves nothing."
    )


def longer_run(extension: ExtensionDocument) -> str:
    """The longer run that was declared before the case was computed, and its result."""
    most = grouped(extension.max_histories_per_beam)
    text = f"Declared before the case was computed: one longer run, of at most {most} histories per beam, if the "
    text += "Monte Carlo noise alone leaves the verdict undecided. "
    if extension.made:
        return f"{text}This verdict is based on it: {extension.note}. The first verdict is in the folder of the case."
    if extension.histories_per_beam:
        return f"{text}This is the first verdict; it will be superseded: {extension.note}."
    return text + (f"It was {extension.note}." if extension.note else "The first verdict did not require it.")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def trend(placed: TrendPosition) -> tuple[Block, ...]:
    """The case compared with mean and spread of earlier ones. This is not part of the verdict."""
    rows = []
    for column, (what, unit, digits) in COLUMNS.items():
        value, spread = getattr(placed.own, column), placed.before.spread(column)
        far = _NONE
        if value is not None and spread.mean is not None and spread.two_sd:
            far = f"{fixed(2 * (value - spread.mean) / spread.two_sd, 1, sign=True)} SD"
        cells = [_NONE if one is None else f"{one:.{digits}f} {unit}".strip() for one in (value, spread.mean)]
        two_sd = _NONE if spread.two_sd is None else f"{spread.two_sd:.{digits}f} {unit}".strip()
        rows.append((what, *cells, two_sd, far, str(spread.cases)))
    note = f"Compared with the last {len(placed.before.rows)} delivered cases of this machine. Not part of the verdict."
    return (
        Paragraph(note, small=True),
        Table(
            ("value", "this case", "mean", "2 SD", "deviation", "cases"),
            tuple(rows),
            (2, 1.2, 1.2, 1.2, 1.2, 0.8),
            numbers=(1, 2, 3, 4, 5),
        ),
    )


def gamma(rows: Sequence[GammaRow], verdict: VerdictDocument) -> tuple[Block, ...]:
    """All criteria by scope. The value of the deciding one is taken from the verdict."""
    decided = {check.scope: check for check in verdict.checks if check.name == "gamma"}
    criteria = list(dict.fromkeys(row.criterion for row in rows))
    cells = []
    for scope in dict.fromkeys(row.scope for row in rows):
        mine = {row.criterion: row for row in rows if row.scope == scope}
        first = next(row for row in mine.values() if row.deciding)
        check = decided.get(scope)
        own = None if check is None or check.value is None else value_text(_check(check))
        more = first.highest is not None and (first.sampled or first.highest >= CEILING)
        highest = _NONE if first.highest is None else f"{'≥ ' if more else ''}{first.highest:.2f}"
        cells.append(
            (
                scope,
                *(_percent(mine.get(criterion), own) for criterion in criteria),
                str(first.counted),
                _NONE if first.mean is None else f"{first.mean:.2f}",
                highest,
            )
        )
    deciding = next(row.criterion for row in rows if row.deciding)
    table = Table(
        ("scope", *(f"{c.label}{' (deciding)' if c == deciding else ''}" for c in criteria), "points", "mean gamma",
         "max. gamma"),
        tuple(cells),
        (0.8, *(1.4 for _ in criteria), 0.9, 1, 1),
        numbers=tuple(range(1, len(criteria) + 4)),
    )  # fmt: skip
    note = (
        "Points with gamma <= 1. Only the deciding criterion is part of the verdict (see the checks). Mean and maximum "
        f"are of that criterion, to 0.005, searched up to {CEILING:g}."
    )
    if any(row.sampled for row in rows):
        note += (
            f" In a scope with more than {grouped(MOST_VALUES)} points all but the verdict's own value is of an even "
            "sample of them."
        )
    return Paragraph(note, small=True), table


def _percent(row: GammaRow | None, own: str | None) -> str:
    """The value of the verdict, if there is one."""
    if row is None:
        return _NONE
    return own if row.deciding and own is not None else f"{row.percent:.2f} %"


def points(rows: Sequence[PointRow]) -> Table:
    """Both doses at the points of interest."""
    cells = []
    for row in rows:
        both = row.planned is not None and row.computed is not None
        off = (row.computed or 0.0) - (row.planned or 0.0)
        cells.append(
            (
                row.name.removeprefix("the "),
                ", ".join(fixed(mm, 1) for mm in row.point),
                _gy(row.planned),
                _gy(row.computed),
                fixed(off, 3, sign=True) if both else _NONE,
                f"{fixed(100 * off / row.planned, 1, sign=True)} %" if both and row.planned else _NONE,
            )
        )
    return Table(
        ("point", "x, y, z (mm)", "planned (Gy)", "computed (Gy)", "difference (Gy)", "of planned"),
        tuple(cells),
        (2, 2, 1.2, 1.2, 1.3, 1),
        numbers=(2, 3, 4, 5),
    )


def _gy(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def volumes(found: DvhTable, names: Sequence[str]) -> tuple[Block, ...]:
    """D95, D2, mean and V95 of each structure: planned, computed, difference."""
    rows = []
    for (structure, made), name in zip(found.rows, names, strict=True):
        pair = (made.planned, made.computed)
        cells = [name, one_line(structure.kind) or _NONE, f"{made.volume_cc:.1f}", f"{100 * made.covered:.0f} %"]
        cells += _compared(*(dose.dose_at(95) for dose in pair), digits=2)
        cells += _compared(*(dose.dose_at(2) for dose in pair), digits=2)
        cells += _compared(*(dose.mean for dose in pair), digits=2)
        cells += _compared(*(dose.volume_at(found.v95_gy) for dose in pair), digits=1)
        rows.append(tuple(cells))
    table = Table(
        ("structure", "kind", "cm³", "on the grid", "D95 (Gy) planned | MC", "diff.", "D2 (Gy) planned | MC", "diff.",
         "Dmean (Gy) planned | MC", "diff.", "V95 (%) planned | MC", "diff."),
        tuple(rows),
        (1.5, 1.25, 0.85, 0.8, 1.4, 0.75, 1.5, 0.75, 1.4, 0.75, 1.4, 0.7),
        numbers=tuple(range(2, 12)),
    )  # fmt: skip
    note = (
        f"V95 is the volume that receives at least 95 % of {found.reference}. Volumes are those of the contours; only "
        "points on the planned dose grid are counted. Not part of the verdict."
    )
    return Paragraph(note, small=True), table


def _compared(planned: float, computed: float, *, digits: int) -> tuple[str, str]:
    """Both values, and the difference of what is printed."""
    before, after = round(planned, digits), round(computed, digits)
    return f"{before:.{digits}f} | {after:.{digits}f}", fixed(after - before, digits, sign=True)


def view_caption(view: View, analysis: Analysis) -> str:
    """The caption of the planes through one point."""
    x, y, z = (fixed(mm, 1) for mm in view.point)
    row = next((row for row in analysis.points if row.name == view.name), None)
    text = f"Planes through {view.name} (x {x}, y {y}, z {z} mm; cross)"
    if row is not None and row.planned is not None and row.computed is not None:
        text += f", planned {row.planned:.2f} Gy, computed {row.computed:.2f} Gy"
    text += ". R right, L left, A front, P back, H head, F feet. "
    if view.planes[0].planned is None:
        return text + "No planned dose: the computed dose on the CT."
    return text + (
        "On the CT, with outlines of the targets; dose below 10 % of the planned maximum is not coloured. Planning "
        "systems write zero outside the body: differences there can be ignored."
    )


def profile_caption(scope: str) -> str:
    """The caption of profiles."""
    if scope == "plan":
        return "Plan: along the patient axes through the isocentre."
    return f"{scope.capitalize()}: along and across the beam, through the centre of its high-dose region."


def glossary() -> tuple[Block, ...]:
    """The terms of the report."""
    return (Facts(_GLOSSARY),)
