"""The records of a case that the command line, the dashboard and the JSON interface show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from mqi_communicator.case.visible import visible

Group = Literal["person", "running", "waiting", "held"]
GROUP_TITLES: dict[Group, str] = {
    "person": "Action required",
    "running": "Running",
    "waiting": "Waiting",
    "held": "Held",
}
ON_HOST = ("follow", "collect", "verify")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # some locales take the full-width ones too


@dataclass(frozen=True, slots=True)
class BeamView:
    """The state of one beam."""

    beam: int
    step: str
    status: str
    run: int
    percent: float | None
    uncertainty: float | None  # relative, 1 sigma
    why: str
    advice: str
    needs_person: bool


@dataclass(frozen=True, slots=True)
class CaseView:
    """The state of one case. `folder` may name a patient: it is shown to operators, never logged."""

    case: str
    folder: str
    revision: int
    step: str
    status: str
    verdict: str  # the outcome, "" until judged
    why: str  # one line
    advice: str
    needs_person: bool
    results: str
    host: str
    priority: str
    eta: float | None  # epoch seconds; when it is likely to be delivered, None where nothing is known
    superseded_by: str
    same_as: str
    seen: float  # epoch seconds
    beams: tuple[BeamView, ...]
    constancy: str  # name of the constancy sample that it is, "" for a patient's case
    extension: str  # one clause about the longer run, if there is or was one
    signature: str = ""  # of the newest judgement: case.signing.SignatureState
    signed_by: str = ""  # the user of its last signature, "" if there is none
    signed_at: float | None = None  # epoch seconds
    patient_id: str = field(default="", repr=False)  # "" where the site does not show it (`report.identity`)
    plan_label: str = field(default="", repr=False)  # "" where the site does not show it (`report.labels`)
    machine: str = ""  # TreatmentMachineName, "" until admitted

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def group_of(case: CaseView) -> Group:
    """The group in which an open or failed case is listed."""
    if case.needs_person or case.status == "failed":
        return "person"
    if case.status == "held":
        return "held"
    computing = any(beam.step in ON_HOST and beam.status in ("ready", "waiting") for beam in case.beams)
    return "running" if computing or case.status == "ready" else "waiting"


def case_state(case: CaseView) -> str:
    """The status of a case as it is shown."""
    if case.needs_person:
        return "action required"
    return "running" if group_of(case) == "running" else case.status


def state_of(status: str, *, needs_person: bool = False, step: str = "") -> str:
    """The status of a case or beam as it is shown. A beam in the step follow is computing on its host."""
    if needs_person:
        return "action required"
    return "computing" if step == "follow" and status in ("ready", "waiting") else status


def cell(text: str) -> str:
    """For CSV, with visible characters only. A leading quote keeps a spreadsheet from reading the cell as a formula."""
    clean = visible(text)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table for generated documentation."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
