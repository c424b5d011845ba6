"""audit: the recorded events of a case, and verification of the hash chain."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.flow.background.checkpoints import Report, verify_chain
from mqi_communicator.store import audit as chain
from mqi_communicator.store.chain import Entry

OneCase = Annotated[
    str | None, typer.Argument(metavar="CASE", help="Case key (or its first letters) or name of its folder.")
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Verify the hash chain and compare it with the delivered results; exit 1 if it is broken."
    ),
]
Log = Annotated[
    Path | None, typer.Option("--log", help="With --verify: a log of the communicator to compare the chain with.")
]


def audit(
    case: OneCase = None,
    config: ConfigFile = DEFAULT,
    *,
    verify: Verify = False,
    log: Log = None,
    as_json: AsJson = False,
) -> None:
    """Show every recorded event of a case, or verify the hash chain of all events."""
    with exit_codes.report_faults(config):
        if (case is None) is not verify:
            exit_codes.print_error("mqi: give a case or --verify", "     mqi audit CASE; mqi audit --verify")
            raise typer.Exit(exit_codes.USAGE)
        if log is not None and not log.is_file():
            exit_codes.print_error(f"mqi: the log {log} does not exist")
            raise typer.Exit(exit_codes.USAGE)
        database = open_store(load(config))
        if case is not None:
            _print_entries(database.read_now(chain.history, find_case(database, case).case), as_json=as_json)
            return
        report = database.read_now(verify_chain, log)
        _print_report(report, as_json=as_json)
        if not report.whole:
            raise typer.Exit(exit_codes.NOT_PASSED)


def _print_entries(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(entry) | {"facts": json.loads(entry.facts)} for entry in entries]))  # noqa: T201
        return
    for entry in entries:
        when = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
        beam = f" beam {entry.beam}" if entry.beam else ""
        moved = f"{entry.before} -> {entry.after}" if entry.before or entry.after else ""
        details = " ".join(word for word in (entry.step, moved, entry.why) if word)
        line = f"{entry.seq:4} {when} {entry.who}: {entry.name}{beam} {details}  [{entry.id} {entry.link[:16]}]"
        print(visible(line))  # noqa: T201


def _print_report(report: Report, *, as_json: bool) -> None:
    walked = report.audit
    if as_json:
        document = {"events": walked.events, "cases": walked.cases, "anchors": walked.checkpoints, "head": walked.head}
        print(json.dumps(document | {"whole": report.whole, "notes": report.notes, "wrong": report.wrong}))  # noqa: T201
        return
    for line in (*report.notes, *(f"BROKEN {line}" for line in report.wrong)):
        print(visible(line))  # noqa: T201
    print(  # noqa: T201
        f"{walked.events} events of {walked.cases} cases; {walked.checkpoints} checkpoints outside the store agree; "
        f"the last event is {walked.head}"
    )
    print("the chain is intact" if report.whole else "the chain is BROKEN")  # noqa: T201
