"""audit: what happened to a case, as it was chained; and whether the chain is whole."""

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
    str | None, typer.Argument(metavar="CASE", help="A case's key (or its start), or its folder's name.")
]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Walk the chain, and hold it against what was delivered; exit 1 on a break."),
]
Log = Annotated[Path | None, typer.Option("--log", help="With --verify: a log of the communicator, held against it.")]


def audit(
    case: OneCase = None,
    config: ConfigFile = DEFAULT,
    *,
    verify: Verify = False,
    log: Log = None,
    as_json: AsJson = False,
) -> None:
    """Show every event of a case, each chained to the one before it; or verify the chain of all events."""
    with exit_codes.report_faults(config):
        if (case is None) is not verify:
            exit_codes.print_error("mqi: name a case, or --verify", "     mqi audit CASE; mqi audit --verify")
            raise typer.Exit(exit_codes.USAGE)
        if log is not None and not log.is_file():
            exit_codes.print_error(f"mqi: there is no log {log}")
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
        document = {"events": walked.events, "cases": walked.cases, "anchors": walked.anchors, "head": walked.head}
        print(json.dumps(document | {"whole": report.whole, "notes": report.notes, "wrong": report.wrong}))  # noqa: T201
        return
    for line in (*report.notes, *(f"BROKEN {line}" for line in report.wrong)):
        print(visible(line))  # noqa: T201
    print(  # noqa: T201
        f"{walked.events} events of {walked.cases} cases; {walked.anchors} links told outside the store agree; "
        f"the last one is {walked.head}"
    )
    print("the chain is whole" if report.whole else "the chain is BROKEN")  # noqa: T201
