"""Every event of the communicator: in the store's record of each case, and in the log. docs/events.md is made from this
list:

python -m mqi_communicator.telemetry.events > docs/events.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mqi_communicator.case.views import markdown_table

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One name: the level of its line in the log (none: it is only in the record), when it is told, what it carries."""

    name: str
    levels: tuple[Level, ...]
    text: str
    fields: tuple[str, ...] = ()


_INFO: tuple[Level, ...] = ("info",)
_WARNING: tuple[Level, ...] = ("warning",)
_ERROR: tuple[Level, ...] = ("error",)
_TRY = ("attempt", "run", "took_s")  # of what came of one try of a step
_JOB = ("exit_code", "job_started", "job_ended")
_LINE = ("case", "beam", "step")

ENTRY = ("id", "seq", "at", "case", "beam", "event", "step", "before", "after", "who", "why", "facts", "link")
RECORD = (
    EventSpec(
        "case.seen", (), "A folder has appeared, or holds other content than the case that was admitted from it."
    ),
    EventSpec("case.changed", (), "A folder that was refused has changed: it is looked at again."),
    EventSpec("constancy.due", (), "A constancy sample was due and became a case.", ("name", "because", "basis")),
    EventSpec(
        "case.readmitted",
        (),
        "At the start: the store had forgotten a case that lies in the spool (after a restore).",
        ("files", "content", "ct_slices", "set_aside", "revision", "same_as", "constancy"),
    ),
    EventSpec(
        "case.prepared_again",
        (),
        "At the start: the configuration has changed before a beam set out; the engine's input is made anew.",
    ),
    EventSpec(
        "case.delivered_before",
        (),
        "At the start: the results of a case that the store takes for unfinished stand (after a restore).",
        ("manifest",),
    ),
    EventSpec(
        "case.judged_before",
        (),
        "At the start: a later judgement was delivered than the store knows of (after a restore).",
        ("judgement",),
    ),
    EventSpec("line.began", (), "A beam sets out: its case lies on a host."),
    EventSpec("step.done", _INFO, "A step has reached its end, provably; the next one follows.", _TRY),
    EventSpec(
        "step.waiting",
        _INFO,
        "Nothing is wrong; it is looked at again later. Told once for each new reason.",
        (*_TRY, "code"),
    ),
    EventSpec("step.retried", _INFO, "A try failed and is repeated. Told once for each new reason.", _TRY),
    EventSpec(
        "step.needs_person", _WARNING, "Somebody must do something; it goes on by itself once the cause is gone.", _TRY
    ),
    EventSpec("step.failed", _WARNING, "It failed for good; `mqi retry` takes it up again.", (*_TRY, *_JOB, "code")),
    EventSpec(
        "run.superseded", _INFO, "A job ended without a result that counts; the beam's next run begins.", (*_TRY, *_JOB)
    ),
    EventSpec("line.done", _INFO, "The last step of a case or a beam has reached its end.", _TRY),
    EventSpec(
        "line.cancelled", _INFO, "A case or a beam has ended by an order to cancel; nothing of it runs.", (*_TRY, "job")
    ),
    EventSpec(
        "case.extended",
        _INFO,
        "The one longer run that was declared begins; told of the case, and in the record of each beam too.",
        (*_TRY, "from_histories", "to_histories", "most_histories"),
    ),
    EventSpec("case.resent", (), "What was uploaded is gone from the host: the case is uploaded again."),
    EventSpec("order.retry", _INFO, "An order to try again was carried out; once for each line that it moved."),
    EventSpec("order.hold", _INFO, "The same, to stop."),
    EventSpec("order.release", _INFO, "The same, to go on."),
    EventSpec("order.cancel", _INFO, "The same, to end for good."),
    EventSpec("order.lost", _INFO, "The same, with somebody's word that the beam's job is dead."),
    EventSpec("order.rejudge", _INFO, "The same, to judge the kept doses again."),
    EventSpec("order.priority", _INFO, "Another priority was given: `before` and `after` are priorities."),
    EventSpec(
        "case.signed",
        (),
        "Somebody has accepted or rejected the results.",
        ("decision", "name", "role", "overrides", "manifest"),
    ),
)

STEPS: dict[str, tuple[str, ...]] = {  # what a step adds to its step.done or line.done
    "admit": ("files", "bytes", "content", "ct_slices", "set_aside", "revision", "same_as", "constancy"),
    "prepare": ("beams", "files", "bytes", "first_histories", "most_histories"),
    "upload": ("sent_bytes", "input", "host"),
    "submit": ("token", "host", "gpus"),
    "follow": (*_JOB, "histories", "uncertainty", "seconds", "outside", "runs"),
    "collect": ("fetched_bytes", "products"),
    "verify": ("maximum_gy", "uncertainty"),
    "compare": ("word", "outputs", "constancy"),
    "report": ("report", "report_why", "outputs"),
    "deliver": (),
    "extend": (),
    "tidy": (),
}

LOG = (
    EventSpec("started", _INFO, "The communicator is up and begins to work.", ("port", "epoch")),
    EventSpec(
        "found",
        _INFO,
        "At each start: what there is, and where the chain of events stands.",
        ("cases", "jobs", "orders", "readmitted", "delivered", "doubtful", "number", "link"),
    ),
    EventSpec("stopping", _INFO, "Somebody asked to stop while work was under way; it may end first.", ("under_way",)),
    EventSpec(
        "step.abandoned", _INFO, "A step did not end in time before the stop; the next start begins it again.", _LINE
    ),
    EventSpec("stopped", _INFO, "The communicator has ended in good order.", ("why",)),
    EventSpec("stop.forced", _ERROR, "It did not: something hung, and the process ended all the same."),
    EventSpec("case.seen", _INFO, "As in the record.", ("case", "files", "bytes")),
    EventSpec("case.readmitted", _INFO, "As in the record.", ("case",)),
    EventSpec("case.prepared_again", _INFO, "As in the record.", ("case", "why")),
    EventSpec("case.delivered_before", _INFO, "As in the record.", ("case",)),
    EventSpec(
        "store.gone",
        _ERROR,
        "The store's file was removed or replaced while it was open: the communicator stops, and saves what it held "
        "as a backup.",
        ("why",),
    ),
    EventSpec(
        "order.given_again",
        _INFO,
        "At the start: the store had forgotten an order that the spool had not (after a restore).",
        ("case", "order"),
    ),
    EventSpec(
        "case.extended_again",
        _INFO,
        "At the start: the store had forgotten a longer run that was ordered (after a restore).",
        ("case",),
    ),
    EventSpec(
        "results.doubtful",
        _WARNING,
        "At the start: results stand that are not as they were delivered.",
        ("case", "why"),
    ),
    EventSpec(
        "step.begin", _INFO, "A try of a step begins; another look at what waits is not told.", (*_LINE, "attempt")
    ),
    EventSpec(
        "step.overtaken",
        _INFO,
        "An order moved a line while its step was under way; what came of it is dropped.",
        _LINE,
    ),
    EventSpec(
        "step.bug", _ERROR, "A mistake of ours; the step is tried again. Report it.", (*_LINE, "error", "frames")
    ),
    EventSpec("order.obeyed", _INFO, "An order was carried out, or could not be.", ("case", "order", "answer")),
    EventSpec("report.missing", _INFO, "The report could not be drawn; the results go on without it.", ("case", "why")),
    EventSpec("audit.head", _INFO, "Where the chain stands: after each delivery and each backup.", ("number", "link")),
    EventSpec("backup.made", _INFO, "There is a new backup of the store.", ("file",)),
    EventSpec(
        "kernels.missing", _WARNING, "Gamma could not be compiled at the start: the first case waits for it.", ("why",)
    ),
    EventSpec("backup.failed", _ERROR, "A backup could not be made; it is tried again.", ("why", "advice")),
    EventSpec("constancy.begun", _INFO, "A constancy sample was due and became a case.", ("case", "name", "why")),
    EventSpec(
        "constancy.not_begun", _WARNING, "A constancy sample is due and cannot be read. Told once.", ("name", "why")
    ),
    EventSpec(
        "watch.doubtful", _WARNING, "What the watched folder shows is not believed; nothing is taken in.", ("why",)
    ),
    EventSpec("watch.trusted", _INFO, "It is believed again."),
    EventSpec(
        "remote.call",
        ("debug",),
        "A call to a host has ended.",
        ("host", "operation", "outcome", "took_s", "why"),
    ),
    EventSpec(
        "breaker.moved",
        _INFO,
        "A host is left alone, tried again, or back.",
        ("host", "kind", "before", "after", "why"),
    ),
    EventSpec(
        "housekeeping.removed", _INFO, "What an ended case left on a host was removed.", ("host", "case", "days")
    ),
    EventSpec("housekeeping.put_off", _INFO, "A host could not be tidied now; it is tried again.", ("host", "why")),
    EventSpec("notify.sent", _INFO, "People were told.", ("way", "items")),
    EventSpec(
        "notify.failed",
        _WARNING,
        "People could not be told; it is tried again.",
        ("way", "why", "advice", "again_in_s"),
    ),
    EventSpec("notify.put_off", _INFO, "What there is to tell could not be read now; it is tried again.", ("why",)),
    EventSpec("notify.bug", _ERROR, "A mistake of ours while people were told. Report it.", ("error",)),
    EventSpec(
        "flow.stuck", _ERROR, "A step has outlived its own limit; systemd restarts us.", (*_LINE, "for_s", "limit_s")
    ),
    EventSpec("flow.moves_again", _INFO, "It came back after all."),
    EventSpec("loop.stuck", _ERROR, "The program itself hangs; systemd restarts us.", ("for_s", "under_way", "where")),
    EventSpec("store.trouble", _ERROR, "The store did not answer or take a change; it is tried again.", ("why",)),
    EventSpec("web.open", _INFO, "The dashboard is up.", ("address",)),
    EventSpec("web.login", _INFO, "Somebody signed in to it.", ("user", "address")),
    EventSpec("web.login_refused", _WARNING, "Somebody could not sign in.", ("user", "address")),
    EventSpec("web.bug", _ERROR, "A mistake of ours in a page. Report it.", ("where", "error")),
    EventSpec("web.ended", _ERROR, "The dashboard has ended by a mistake of ours; the work goes on.", ("error",)),
    EventSpec(
        "library.message",
        ("warning", "error"),
        "A library said something; its words are withheld, since they may quote a patient.",
        ("library", "where", "error", "trace"),
    ),
)

FIELDS: dict[str, tuple[str, str]] = {  # type or unit, meaning
    "timestamp": ("time", "Of the line: UTC, ISO 8601."),
    "level": ("text", "`debug`, `info`, `warning`, `error` or `critical`."),
    "id": ("number", "Of the event among all of the store, from 1."),
    "seq": ("number", "Of the event among those of its case, from 1."),
    "at": ("s since 1970", "When it happened, by our clock."),
    "case": ("text", "The key of the case."),
    "beam": ("number", "BeamNumber; 0 is the case's own line, and the log leaves it out."),
    "event": ("text", "The name."),
    "step": ("text", "Where the line stood."),
    "before": ("text", "State before: of a line, of a breaker; with `order.priority` the priority."),
    "after": ("text", "State after. `submit/ready`: the line stands at another step now."),
    "who": ("text", "`mqi`, or the account or the dashboard's user whose doing it was."),
    "why": ("text", "In words. Left out in the log and in `events.jsonl` where it may quote a file's name."),
    "facts": ("group", "What the event carries besides."),
    "link": ("SHA-256", "Of the event: over the link of the event before it and its own content."),
    "attempt": ("number", "Which try of the step, from 1."),
    "run": ("number", "Which run of the beam, from 1."),
    "took_s": ("s", "How long the try or the call took."),
    "code": ("text", "Stands for a `why` that may quote a file's name, for example `case.incomplete`."),
    "name": ("text", "Of the constancy sample; with `case.signed` of who signed."),
    "because": ("text", "Why the sample was due."),
    "basis": ("group", "Versions and digests of what makes a dose: ours, the engine's, beam models, curves."),
    "files": ("number", "Of files: in the folder, admitted, or of the engine's input."),
    "bytes": ("bytes", "Their size together."),
    "content": ("SHA-256", "Of all that was admitted: equal content is the same case."),
    "ct_slices": ("number", "Slices of the CT that was admitted."),
    "set_aside": ("number", "RTDOSE files of the folder that are not of this plan."),
    "revision": ("number", "Which one of its plan, from 1."),
    "same_as": ("text", "Key of the case that holds the same content; this one ends here."),
    "constancy": ("text", "Name of the constancy sample; absent for a patient's case."),
    "manifest": ("SHA-256", "Of the delivered `manifest.json`."),
    "judgement": ("number", "Which judgement of the case, from 1."),
    "beams": ("number", "Of beams."),
    "first_histories": ("protons per beam", "Declared for the first run."),
    "most_histories": ("protons per beam", "Declared: the longer run gets no more."),
    "from_histories": ("protons per beam", "Of the first run."),
    "to_histories": ("protons per beam", "Of the longer run."),
    "sent_bytes": ("bytes", "Sent to the host; 0 if all of it lay there."),
    "fetched_bytes": ("bytes", "Brought home."),
    "input": ("SHA-256", "Of the list of digests of the engine's input."),
    "host": ("text", "Name of the host in the configuration."),
    "token": ("text", "Names the job: case, beam, run."),
    "gpus": ("number", "Of GPUs that the job holds."),
    "exit_code": ("number", "Of the job; null where nobody knows."),
    "job_started": ("s since 1970", "By the host's clock; null where nobody knows."),
    "job_ended": ("s since 1970", "By the host's clock; null where nobody knows."),
    "histories": ("protons", "Computed, by the engine's own word."),
    "outside": ("protons", "Of these, begun outside the CT (MCsquare)."),
    "runs": ("number", "Of runs of the engine within the job, each with its own seed (moqui)."),
    "seconds": ("s", "Computing time by the engine's own word (MCsquare)."),
    "uncertainty": ("ratio (0.01 is 1 %)", "Relative uncertainty (1 sigma) of the beam's dose; null if not known."),
    "maximum_gy": ("Gy", "Maximum of the beam's computed dose."),
    "products": ("group", "SHA-256 of each file that the job made, by name."),
    "outputs": ("group", "SHA-256 of each file of the results, by name."),
    "word": ("text", "The verdict: [words](verdict.md#words)."),
    "report": ("text", "`drawn`, `not drawn` or `not wanted`."),
    "report_why": ("text", "Why there is none."),
    "job": ("text", "State of the job when it was given up."),
    "decision": ("text", "`accept` or `reject`."),
    "role": ("text", "As what somebody signed."),
    "overrides": ("true or false", "Whether the decision goes against the verdict."),
    "port": ("number", "Of the pages for machines; null with `mqi once`."),
    "epoch": ("number", "Counts the owners of the store."),
    "cases": ("group", "Number of cases, by state."),
    "jobs": ("number", "Of jobs that are followed."),
    "orders": ("number", "Of orders given while nobody ran."),
    "readmitted": ("number", "Of cases that the store had forgotten."),
    "delivered": ("number", "Of cases whose results were found to stand."),
    "doubtful": ("number", "Of cases whose results stand and are not as they were delivered."),
    "number": ("number", "`id` of the last event of the chain; `link` is its link."),
    "under_way": ("list", "The steps under way, with case and beam."),
    "error": ("text", "Type of the error; its words are withheld."),
    "frames": ("list", "Where in the program, outermost first."),
    "trace": ("text", "Where in the program, innermost first."),
    "where": ("text or list", "Where: a page, a place in a library, or places in the program, innermost first."),
    "library": ("text", "Which one."),
    "order": ("text", "Its word: `retry`, `hold`, ..."),
    "answer": ("text", "What came of it."),
    "file": ("text", "Name of the backup."),
    "advice": ("text", "What a person can do."),
    "operation": ("text", "A verb of the script on the host, `send` or `fetch`."),
    "outcome": ("text", "`done`, `unreachable`, `too_long`, `absurd` (too long an answer) or `refused`."),
    "kind": ("text", "Of work: `commands` or `bulk`."),
    "days": ("days", "For how long nothing there had changed."),
    "way": ("text", "`webhook` or `mail`."),
    "items": ("number", "Of things that the message tells."),
    "again_in_s": ("s", "Until the next try."),
    "for_s": ("s", "For how long already."),
    "limit_s": ("s", "The limit of the step."),
    "address": ("text", "Of the dashboard, or of whom asked."),
    "user": ("text", "Name of the user; `unknown` if there is none of that name."),
}

_HEAD = """\
# Events

Every name that stands as `event` in the record of a case or in the log, made from the program's own list by
`python -m mqi_communicator.telemetry.events`. Names are stable. No field in the log holds a patient's name or id.

## In the record

The record is the store's chain of events: `mqi audit CASE`, `mqi show CASE`, the dashboard, and `events.jsonl` in the
results, up to the delivery. Events are only ever added to it. Each has
{entry}.

Those with a level are told in the log too, with `case`, `beam`, `step`, `before`, `after`, `who`, `why` and those facts
that are text or numbers; what is empty is left out.
"""
_STEPS = """\
## What a step adds

The facts of `step.done` besides those above; of a last step (`tidy`, `verify`; `admit` of a case that is known already)
those of `line.done`, and of `line.cancelled` where it ended just then. What does not apply is absent.
"""
_LOG = """\
## In the log besides

One JSON object a line on stdout, each with `timestamp`, `level` and `event`. `monitoring.log_level` is the least severe
level that is written (`info` by default). An error adds `error` and `trace`.
"""
_FIELDS = "## Fields\n\nWhat has the type number is a count or a place in a row.\n"


def page() -> str:
    """docs/events.md."""
    record = ((f"`{one.name}`", _levels(one), one.text, _names(one.fields)) for one in RECORD)
    steps = ((f"`{step}`", _names(facts)) for step, facts in STEPS.items())
    log = ((f"`{one.name}`", _levels(one), one.text, _names(one.fields)) for one in LOG)
    fields = ((f"`{name}`", unit, text) for name, (unit, text) in FIELDS.items())
    parts = [
        *(_HEAD.format(entry=_names(ENTRY)), markdown_table(("event", "level", "when", "facts"), record)),
        *(_STEPS, markdown_table(("step", "facts"), steps)),
        *(_LOG, markdown_table(("event", "level", "when", "fields"), log)),
        *(_FIELDS, markdown_table(("field", "type or unit", "meaning"), fields)),
    ]
    return "\n".join(parts)


def _levels(one: EventSpec) -> str:
    return " or ".join(one.levels)


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


if __name__ == "__main__":
    sys.stdout.write(page())
