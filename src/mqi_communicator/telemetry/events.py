"""Every event of the communicator: recorded in the store, and logged. docs/events.md is generated from this list:

python -m mqi_communicator.telemetry.events > docs/events.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mqi_communicator.case.event_names import OF_BEAMS, OF_CASES, OF_LOGS
from mqi_communicator.case.views import markdown_table
from mqi_communicator.telemetry.event_fields import FIELDS

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event: its levels in the log (none: it is recorded only), its meaning, its facts or fields."""

    name: str
    levels: tuple[Level, ...]
    text: str
    fields: tuple[str, ...] = ()


_INFO: tuple[Level, ...] = ("info",)
_WARNING: tuple[Level, ...] = ("warning",)
_ERROR: tuple[Level, ...] = ("error",)
_TRY = ("attempt", "run", "took_s")  # of one attempt of a step
_JOB = ("exit_code", "job_started", "job_ended")
_ITEM = ("case", "beam", "step")
_REMOVED = ("host", "case", "days")

ENTRY = ("id", "seq", "at", "case", "beam", "event", "step", "before", "after", "who", "why", "facts", "link")
RECORD = (
    EventSpec("case.seen", (), "A new folder, or a known folder with new content, became a case."),
    EventSpec("case.changed", (), "A rejected folder has changed and is checked again."),
    EventSpec("constancy.due", (), "A constancy sample was due and became a case.", ("name", "because", "basis")),
    EventSpec(
        "case.readmitted",
        (),
        "At startup, after a restore: a case found in the spool was missing from the store and is added again.",
        ("files", "content", "ct_slices", "set_aside", "revision", "same_as", "constancy", "because", "basis"),
    ),
    EventSpec(
        "fraction.begun",
        (),
        "The first delivery of a fraction was joined to its plan: the fraction is a case.",
        ("parent", "fraction"),
    ),
    EventSpec("dose.begun", (), "The dose of a fraction is computed: it is a case.", ("parent", "fraction")),
    EventSpec("fraction.changed", (), "Another delivery of it was joined or refused before it was judged."),
    EventSpec("fraction.reopened", (), "The same after it was judged: it is judged again, and its signature ends."),
    EventSpec(
        "case.prepared_again",
        (),
        "At startup: the configuration has changed and no beam was submitted; the engine's input is prepared again.",
    ),
    EventSpec(
        "case.delivery_recovered",
        (),
        "At startup, after a restore: delivered results exist for a case that the store has as unfinished.",
        ("manifest",),
    ),
    EventSpec(
        "case.judgement_recovered",
        (),
        "At startup, after a restore: a later judgement was delivered than the store has.",
        ("judgement",),
    ),
    EventSpec("beam.started", (), "The case is uploaded; the beam's own steps begin."),
    EventSpec("step.done", _INFO, "A step is complete and verified; the next one follows.", _TRY),
    EventSpec(
        "step.waiting",
        _INFO,
        "Nothing is wrong; the step is checked again later. One event for each new reason.",
        (*_TRY, "code"),
    ),
    EventSpec("step.retried", _INFO, "An attempt failed and is repeated. One event for each new reason.", _TRY),
    EventSpec(
        "step.action_required",
        _WARNING,
        "An operator must act; the step continues automatically once the cause is removed.",
        _TRY,
    ),
    EventSpec("step.failed", _WARNING, "The step failed for good; `mqi retry` tries it again.", (*_TRY, *_JOB, "code")),
    EventSpec(
        "run.superseded",
        _INFO,
        "A job ended without a usable result; the beam's next run begins.",
        (*_TRY, *_JOB),
    ),
    EventSpec("case.done", _INFO, "The last step of a case is complete.", _TRY),
    EventSpec("beam.done", _INFO, "The last step of a beam is complete.", _TRY),
    EventSpec("case.cancelled", _INFO, "A case was cancelled by an order; none of its jobs runs.", _TRY),
    EventSpec("beam.cancelled", _INFO, "A beam was cancelled by an order; its job does not run.", (*_TRY, "job")),
    EventSpec(
        "case.extended",
        _INFO,
        "The one longer run that was declared begins. Logged for the case, recorded for each beam too.",
        (*_TRY, "from_histories", "to_histories", "most_histories"),
    ),
    EventSpec("case.resent", (), "The uploaded input is missing on the host: the case is uploaded again."),
    EventSpec("order.retry", _INFO, "An order to retry was applied; one event for each work item that it changed."),
    EventSpec("order.hold", _INFO, "The same, to hold."),
    EventSpec("order.release", _INFO, "The same, to continue."),
    EventSpec("order.cancel", _INFO, "The same, to cancel."),
    EventSpec("order.lost", _INFO, "The same, declaring the beam's job lost."),
    EventSpec("order.rejudge", _INFO, "The same, to judge the stored doses again."),
    EventSpec("order.priority", _INFO, "The priority was changed: `before` and `after` are priorities."),
    EventSpec(
        "case.signed",
        (),
        "A user has accepted or rejected the results.",
        ("decision", "number", "user", "overrides", "manifest", "outputs"),
    ),
    EventSpec(
        "case.signature_recovered", (), "A signature beside the delivered results was missing in the store; recorded."
    ),
)

STEPS: dict[str, tuple[str, ...]] = {  # what a step adds to its step.done, case.done or beam.done
    "admit": ("files", "bytes", "content", "ct_slices", "set_aside", "revision", "same_as", "constancy"),
    "prepare": ("beams", "files", "bytes", "first_histories", "most_histories"),
    "upload": ("sent_bytes", "input", "host"),
    "submit": ("token", "host", "gpus"),
    "follow": (*_JOB, "histories", "uncertainty", "seconds", "outside", "runs"),
    "collect": ("fetched_bytes", "products"),
    "verify": ("maximum_gy", "uncertainty"),
    "compare": ("word", "cause", "outputs", "constancy"),
    "report": ("report", "report_why", "outputs", "viewer"),
    "deliver": (),
    "extend": (),
    "tidy": (),
    "receive": ("files", "bytes", "content", "same_as"),
    "join": ("parent", "fractions"),
    "judge": ("word", "cause", "outputs", "deliveries", "refused", "dose"),
    "document": ("report", "report_why", "outputs"),
    "publish": (),
    "reconstruct": ("fraction", "deliveries", "spots", "mu"),
}

LOG = (
    EventSpec("started", _INFO, "The communicator is running.", ("port", "epoch")),
    EventSpec(
        "startup.summary",
        _INFO,
        "At each start: what the store holds, and the head of the event chain.",
        ("cases", "jobs", "orders", "readmitted", "delivered", "mismatched", "number", "link"),
    ),
    EventSpec("stopping", _INFO, "A stop was requested; steps in progress may finish first.", ("under_way",)),
    EventSpec("step.abandoned", _INFO, "A step did not finish before the stop; the next start begins it again.", _ITEM),
    EventSpec("stopped", _INFO, "The communicator has stopped cleanly.", ("why",)),
    EventSpec("stop.forced", _ERROR, "A clean stop was not possible because something hung; the process was ended."),
    EventSpec("case.seen", _INFO, "As recorded.", ("case", "files", "bytes")),
    EventSpec("case.readmitted", _INFO, "As recorded.", ("case",)),
    EventSpec("case.prepared_again", _INFO, "As recorded.", ("case", "why")),
    EventSpec("case.delivery_recovered", _INFO, "As recorded.", ("case",)),
    EventSpec(
        "database.lost",
        _ERROR,
        "The store's file was removed or replaced while it was open: the communicator stops, and saves the contents "
        "as a backup.",
        ("why",),
    ),
    EventSpec(
        "order.recovered",
        _INFO,
        "At startup, after a restore: an order found in the spool was missing from the store and is applied again.",
        ("case", "order"),
    ),
    EventSpec(
        "case.extension_recovered",
        _INFO,
        "At startup, after a restore: a longer run that was ordered was missing from the store.",
        ("case",),
    ),
    EventSpec(
        "results.mismatch",
        _WARNING,
        "At startup: results could not be verified against what was delivered.",
        ("case", "why"),
    ),
    EventSpec(
        "step.started", _INFO, "An attempt of a step begins; repeated checks are not logged.", (*_ITEM, "attempt")
    ),
    EventSpec(
        "step.discarded",
        _INFO,
        "An order changed the work item while its step ran; the step's result is discarded.",
        _ITEM,
    ),
    EventSpec(
        "step.internal_error", _ERROR, "An internal error; the step is retried. Report it.", (*_ITEM, "error", "frames")
    ),
    EventSpec("order.applied", _INFO, "An order was applied, or could not be.", ("case", "order", "answer")),
    EventSpec(
        "case.signature_recovered",
        _INFO,
        "A signature beside the delivered results was missing in the store; recorded.",
        ("case",),
    ),
    EventSpec(
        "delivery.joined", _INFO, "A delivery belongs to the plan of this case.", ("case", "parent", "fractions")
    ),
    EventSpec("delivery.judged", _INFO, "A fraction was judged.", ("case", "parent", "word", "deliveries")),
    EventSpec("delivery.refused", _WARNING, "A delivery contradicts its plan.", ("case", "parent", "code")),
    EventSpec("report.missing", _INFO, "The report could not be made; the case continues without it.", ("case", "why")),
    EventSpec("audit.head", _INFO, "The head of the event chain: after each delivery and backup.", ("number", "link")),
    EventSpec("backup.made", _INFO, "A backup of the store was made.", ("file",)),
    EventSpec(
        "kernels.missing", _WARNING, "Gamma could not be compiled at startup: the first case waits for it.", ("why",)
    ),
    EventSpec("backup.failed", _ERROR, "A backup failed; it is retried.", ("why", "advice")),
    EventSpec("constancy.started", _INFO, "A constancy sample was due and became a case.", ("case", "name", "why")),
    EventSpec(
        "constancy.not_started", _WARNING, "A constancy sample is due and cannot be read. Logged once.", ("name", "why")
    ),
    EventSpec("watch.untrusted", _WARNING, "The content of the watched folder is untrusted; intake paused.", ("why",)),
    EventSpec("watch.trusted", _INFO, "The content of the watched folder is trusted again; intake resumed."),
    EventSpec(
        "results.untrusted",
        _WARNING,
        "The results folder lacks its marker, has another one, or does not respond; nothing is delivered.",
        ("why", "advice"),
    ),
    EventSpec("results.trusted", _INFO, "The results folder has its marker again; delivery resumed."),
    EventSpec(
        "remote.call",
        ("debug",),
        "A call to a host has ended.",
        ("host", "operation", "outcome", "took_s", "why"),
    ),
    EventSpec(
        "breaker.state_changed",
        _INFO,
        "The circuit breaker of a host has opened, half-opened or closed.",
        ("host", "kind", "before", "after", "why"),
    ),
    EventSpec("housekeeping.removed", _INFO, "Files of a completed case were removed from a host.", _REMOVED),
    EventSpec("housekeeping.deferred", _INFO, "A host could not be cleaned up; it is retried.", ("host", "why")),
    EventSpec("notify.sent", _INFO, "A notification was sent.", ("channel", "items")),
    EventSpec(
        "notify.incomplete",
        _WARNING,
        "A notification was sent; some recipients were refused.",
        ("channel", "why"),
    ),
    EventSpec(
        "notify.failed",
        _WARNING,
        "A notification could not be sent; it is retried.",
        ("channel", "why", "advice", "again_in_s"),
    ),
    EventSpec("notify.deferred", _INFO, "Pending notifications could not be read; this is retried.", ("why",)),
    EventSpec("notify.internal_error", _ERROR, "An internal error in the notifications. Report it.", ("error",)),
    EventSpec(
        "step.stuck", _ERROR, "A step has exceeded its own limit; systemd restarts us.", (*_ITEM, "for_s", "limit_s")
    ),
    EventSpec("step.recovered", _INFO, "The stuck step has finished after all."),
    EventSpec(
        "event_loop.blocked",
        _ERROR,
        "The event loop is blocked; systemd restarts us.",
        ("for_s", "under_way", "where"),
    ),
    EventSpec("database.error", _ERROR, "The store did not answer or accept a change; it is retried.", ("why",)),
    EventSpec("web.started", _INFO, "The dashboard is running.", ("address",)),
    EventSpec(
        "child.ended",
        _ERROR,
        "A process of the communicator has ended or did not respond. It is started again; the cases continue. Logged "
        "again when the reason changes.",
        ("process", "why", "again_in_s"),
    ),
    EventSpec("web.login", _INFO, "A user signed in to the dashboard.", ("user", "address")),
    EventSpec("web.login_refused", _WARNING, "A sign-in was refused.", ("user", "address")),
    EventSpec("web.sign_refused", _WARNING, "Results were not signed: wrong password.", ("user", "address")),
    EventSpec("web.token_refused", _WARNING, "A request with an API token that is not valid.", ("address",)),
    EventSpec("signature.deferred", _WARNING, "The results to be signed cannot be reached now.", ("case", "why")),
    EventSpec("web.internal_error", _ERROR, "An internal error in a page. Report it.", ("where", "error")),
    EventSpec(
        "web.volumes_damaged",
        _ERROR,
        "The volumes of a case are not those that were recorded and are not shown; `mqi rejudge` makes them again.",
        ("case",),
    ),
    EventSpec(
        "connections.refused",
        _WARNING,
        "Clients took all connections of a server, or no file descriptor was left; those that had waited longest were "
        "closed. At most one line a minute.",
        ("server", "number", "why"),
    ),
    EventSpec(
        "library.message",
        ("warning", "error"),
        "A library logged a message; its text is withheld, since it may quote a patient.",
        ("library", "where", "error", "trace"),
    ),
)

_HEAD = """\
# Events

Look up here what an `event` in the record of a case or in the log means, and which fields it has. Generated by
`python -m mqi_communicator.telemetry.events`. No field in the log holds a patient's name or id.

## Recorded

The record is the store's append-only chain of events: `mqi audit CASE`, `mqi show CASE`, the dashboard, and (up to the
delivery) `events.jsonl` in the results. Each event has
{entry}.

Those with a level are logged too, with `case`, `beam`, `step`, `before`, `after`, `who`, `why` and those facts that are
text or numbers; what is empty is left out.
"""
_STEPS = """\
## Facts of each step

The facts of `step.done` besides those above; of a last step (`tidy`, `verify`, `join`; `admit` and `receive` of what is
known already) those of `case.done` or `beam.done`, and of `case.cancelled` or `beam.cancelled` where it ended at that
moment. What does not apply is absent.
"""
_LOG = """\
## Logged only

One JSON object a line on stdout, each with `timestamp`, `level` and `event`. `monitoring.log_level` is the least severe
level that is written (`info` by default). An error adds `error` and `trace`.
"""
_FIELDS = "## Fields\n\nThe type `number` is a count or an ordinal.\n"
_FORMER = """\
## Former names

A recorded event keeps the name it was recorded with, in the store, in `events.jsonl` and in `mqi audit CASE --json`,
since the name is part of the chain. `mqi show`, `mqi audit CASE` and the dashboard display the current name.
"""
_FORMER_LOG = "In logs of former versions:\n"


def page() -> str:
    """docs/events.md."""
    record = ((f"`{one.name}`", _levels(one), one.text, _names(one.fields)) for one in RECORD)
    steps = ((f"`{step}`", _names(facts)) for step, facts in STEPS.items())
    log = ((f"`{one.name}`", _levels(one), one.text, _names(one.fields)) for one in LOG)
    fields = ((f"`{name}`", unit, text) for name, (unit, text) in FIELDS.items())
    former = ((f"`{old}`", _names(sorted({new, OF_CASES.get(old, new)}))) for old, new in OF_BEAMS.items())
    former_log = ((f"`{old}`", f"`{new}`") for old, new in OF_LOGS.items())
    parts = [
        *(_HEAD.format(entry=_names(ENTRY)), markdown_table(("event", "level", "when", "facts"), record)),
        *(_STEPS, markdown_table(("step", "facts"), steps)),
        *(_LOG, markdown_table(("event", "level", "when", "fields"), log)),
        *(_FIELDS, markdown_table(("field", "type or unit", "meaning"), fields)),
        *(_FORMER, markdown_table(("recorded", "current"), former)),
        *(_FORMER_LOG, markdown_table(("logged", "current"), former_log)),
    ]
    return "\n".join(parts)


def _levels(one: EventSpec) -> str:
    return " or ".join(one.levels)


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


if __name__ == "__main__":
    sys.stdout.write(page())
