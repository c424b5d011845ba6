"""The records of a case that the command line, the dashboard and the JSON interface show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from mqi_communicator.case.identity import NOTHING_SHOWN, IdentityPolicy
from mqi_communicator.case.states import ON_HOST, BeamState, Group, State
from mqi_communicator.case.visible import visible

_OPEN = ("ready", "waiting")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # some locales take the full-width ones too


@dataclass(frozen=True, slots=True)
class ViewPolicy:
    """What a site shows of its cases, and which of them somebody has to review."""

    shown: IdentityPolicy = NOTHING_SHOWN  # `report.identity`, `report.labels`
    passes: bool = True  # `signing.passes`: whether a verdict of pass needs a signature


DEFAULT_POLICY = ViewPolicy()


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
    kind: str = "plan"  # case.model.CaseKind: plan, delivery, fraction or dose
    parent: str = ""  # key of the plan's case; "" of a plan, and of a delivery that is not joined
    fraction: str = ""  # label of the fraction, or of that whose dose it is; of a delivery those of its fractions
    state: State = "waiting"  # state_of_case

    @property
    def subject(self) -> str:
        """What it is, if it is not a plan: a delivery, a fraction, or the dose of one."""
        match self.kind:
            case "plan":
                return ""
            case "dose":
                return f"dose of {self.fraction}"
            case _:
                return self.fraction or "delivery"

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def state_of_case(case: CaseView, *, due: bool) -> State:
    """The state of a case. `due`: `is_due`."""
    if case.status in ("failed", "cancelled"):
        return "failed" if case.status == "failed" else "cancelled"
    if case.needs_person and case.status != "done":
        return "action_required"
    if due:
        return "to_review"
    if case.status in ("done", "held"):
        return "done" if case.status == "done" else "held"
    computing = any(beam.step in ON_HOST and beam.status in _OPEN for beam in case.beams)
    return "running" if computing or case.status == "ready" else "waiting"


def state_of_beam(beam: BeamView) -> BeamState:
    """The state of a beam: computing as long as its job is followed."""
    if beam.needs_person:
        return "action_required"
    if beam.status in _OPEN and beam.step in ON_HOST:
        return "computing" if beam.step == "follow" else "running"
    match beam.status:
        case "ready":
            return "running"
        case "done" | "failed" | "held" | "cancelled":
            return beam.status
        case _:
            return "waiting"


def needs_action(case: CaseView) -> bool:
    """Whether an operator has to act."""
    return case.state in ("action_required", "failed")


def group_of(case: CaseView) -> Group:
    """The group in which a case is listed that is open, failed or to be reviewed. ValueError for others."""
    if needs_action(case):
        return "action_required"
    match case.state:
        case "to_review" | "running" | "waiting" | "held":
            return case.state
        case state:
            raise ValueError(f"case {case.case} is {state}: it is listed in no group")


def cell(text: str) -> str:
    """For CSV, with visible characters only. A leading quote keeps a spreadsheet from reading the cell as a formula."""
    clean = visible(text)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table for generated documentation."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
