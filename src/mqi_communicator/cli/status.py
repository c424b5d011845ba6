"""status, show, why: the state of the cases, whether or not the communicator is running."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import WITH_DOSE, Event
from mqi_communicator.case.times import moment
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes, selection
from mqi_communicator.cli.cases import find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, CaseName, ConfigFile
from mqi_communicator.cli.selection import LAST
from mqi_communicator.cli.status_list import StatusList
from mqi_communicator.config import load
from mqi_communicator.flow.view import CaseView, checks_of, record
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import work_items
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.ownership import is_owned
from mqi_communicator.system.command import typed_start
from mqi_communicator.terminal import checks_table, table
from mqi_communicator.terminal import console as terminal


def status(
    config: ConfigFile = DEFAULT,
    *,
    every: Annotated[bool, typer.Option("--all", help="List every case of the store.")] = False,
    limit: Annotated[
        int | None, typer.Option(help="List at most this many cases that have ended.", min=0, show_default=str(LAST))
    ] = None,
    since: Annotated[
        str, typer.Option(help="List cases received since then: 2026-01-31, 2026-01-31T08:00, or 90m, 36h, 7d, 2w ago.")
    ] = "",
    verdict: Annotated[CheckOutcome | None, typer.Option(help="List cases with this verdict.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the list until Ctrl-C, with every change.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the open cases and the last that have ended; with --all, --since, --verdict those that match."""
    with exit_codes.report_faults(config):
        if watch and as_json:
            exit_codes.print_error("mqi: give either --watch or --json")
            raise typer.Exit(exit_codes.USAGE)
        start = selection.since(since, time.time()) if since else None
        settings = load(config)
        found = StatusList(settings, config, open_store(settings), limit, _query(start, verdict, every=every))
        if as_json:
            found.write_json(sys.stdout)
        elif watch:
            found.watch(terminal())
        else:
            found.show(terminal())


def _query(since: float | None, verdict: CheckOutcome | None, *, every: bool) -> CaseQuery | None:
    """The filters, None for the open cases and the last that have ended."""
    wanted = CaseQuery(word=verdict or "", since=since)
    return wanted if every or wanted != CaseQuery() else None


def why(case: CaseName, config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Explain in one line what a case is waiting for and what happens next."""
    with exit_codes.report_faults(config):
        settings = load(config)
        found = find_case(open_store(settings), case)
        if as_json:
            document = {
                "case": found.case,
                "why": found.why,
                "advice": found.advice,
                "needs_person": found.needs_person,
            }
            print(json.dumps(document))  # noqa: T201
            return
        for line in _why_lines(found, config, running=is_owned(settings.paths.lock)):
            print(line)  # noqa: T201


def _why_lines(case: CaseView, config: Path, *, running: bool) -> list[str]:
    verdict = f"{case.verdict}: " if case.status == "done" and case.verdict else ""
    lines = [f"{case.case}: {verdict}{case.why}" + (f" -> {case.advice}" if case.advice else "")]
    lines += [
        f"  beam {beam.beam}: {beam.why}" + (f" -> {beam.advice}" if beam.advice else "")
        for beam in case.beams
        if beam.status != "done"
    ]
    if not running and case.status in ("ready", "waiting"):
        lines.append(f"  the communicator is not running: cases wait until it is started: {typed_start(config)}")
    return lines


def show(case: CaseName, config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Show everything known about a case: beams, checks, events."""
    with exit_codes.report_faults(config):
        settings = load(config)
        database = open_store(settings)
        found = find_case(database, case, settings.policy)
        events = database.read_now(work_items.events_of, found.case)
        if as_json:
            print(json.dumps(record(found, events)))  # noqa: T201
            return
        console = terminal()
        console.print(table([found]))
        if found.results:
            console.print(escape(visible(f"results: {found.results}")), soft_wrap=True)
            if found.kind in WITH_DOSE:
                console.print(escape(visible(_report_line(found, events))), soft_wrap=True)
            for line in _signature_lines(Path(found.results)):
                console.print(escape(visible(line)), soft_wrap=True)
        _print_checks(console, found)
        for event in events:
            when = moment(event.at)
            beam = f" beam {event.beam}" if event.beam else ""
            console.print(
                escape(f"{when}  {event.event}{beam} {event.step}: {event.before} -> {event.after}  {event.why}"),
                soft_wrap=True,
            )


def _report_line(case: CaseView, events: list[Event]) -> str:
    """The path of the report, or why there is none."""
    path = Path(case.results) / "report.html"
    if path.is_file():
        return f"report: {path}"
    why = next((str(e.facts["report_why"]) for e in reversed(events) if "report_why" in e.facts), "")
    return f"report: none{f', {why}' if why else ''}; mqi report {case.case} generates it"


def _signature_lines(results: Path) -> list[str]:
    from mqi_communicator.flow.tasks.signatures import signatures_of

    try:
        signed = signatures_of(results)
    except Fault as fault:
        return [f"signature: NOT VALID, {fault.reason}"]
    return [f"signature: {one.summary}" for one in signed] or ["signature: none"]


def _print_checks(console: Console, case: CaseView) -> None:
    if not (checks := checks_of(case)):
        return
    console.print(checks_table(checks))
