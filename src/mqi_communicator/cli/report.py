"""report: regenerate the report of delivered results."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import CaseKind
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import Config, load
from mqi_communicator.flow.trend import placed
from mqi_communicator.flow.view import CaseView, view_all
from mqi_communicator.results.trend import TrendPosition

SomeCase = Annotated[
    str, typer.Argument(metavar="[CASE]", help="Case key (or its first letters) or name of its folder; or --all.")
]


def report(
    case: SomeCase = "",
    config: ConfigFile = DEFAULT,
    *,
    every: Annotated[bool, typer.Option("--all", help="All cases that have results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Regenerate report.html and report.pdf of delivered results; the verdict does not change."""
    with exit_codes.report_faults():
        if every == bool(case):
            exit_codes.print_error("mqi: give one case or --all")
            raise typer.Exit(exit_codes.USAGE)
        settings = load(config)
        database = open_store(settings)
        found = database.read_now(view_all, time.time()) if every else [find_case(database, case)]
        delivered = [view for view in found if view.results and view.kind == CaseKind.PLAN]
        if not delivered:
            exit_codes.print_error(
                "mqi: there are no delivered results to report on", "     mqi status shows the state of the cases"
            )
            raise typer.Exit(exit_codes.NOT_PASSED)
        os.umask(0o077)
        trends = {view.case: database.read_now(placed, view.case) for view in delivered}
        answers = asyncio.run(_redraw(settings, delivered, trends))
        if as_json:
            print(json.dumps([{"case": key, "drawn": not why, "why": why} for key, why in answers.items()]))  # noqa: T201
        for key, why in answers.items() if not as_json else ():
            print(visible(f"{key}: {f'not generated: {why}' if why else 'generated'}"))  # noqa: T201
        if any(answers.values()):
            raise typer.Exit(exit_codes.NOT_PASSED)


async def _redraw(
    settings: Config, cases: list[CaseView], trends: Mapping[str, TrendPosition | None]
) -> dict[str, str]:
    """Regenerate the reports in worker processes. Returns by case why that failed, or ""."""
    from mqi_communicator.flow.spool.layout import Spool
    from mqi_communicator.flow.tasks import redraw_report
    from mqi_communicator.flow.workers.compiled import cache_of
    from mqi_communicator.flow.workers.pool import REPORT_PACKAGE, WorkerPool

    workers = WorkerPool(
        memory_gib=settings.resources.worker_memory_gib,
        limit_s=settings.report.limit_s,
        cache=cache_of(settings.paths.workspace),
        packages=(REPORT_PACKAGE,),
    )
    answers: dict[str, str] = {}
    for case in cases:
        spool = Spool(settings.paths.workspace / "spool" / case.case)
        try:
            await workers.run(
                redraw_report,
                spool,
                Path(case.results),
                settings.judgement,
                settings.dose_conventions,
                settings.report,
                trends[case.case],
            )
        except Fault as fault:
            answers[case.case] = fault.reason + (f" -> {fault.advice}" if fault.advice else "")
        else:
            answers[case.case] = ""
    return answers
