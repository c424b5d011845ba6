"""report: regenerate the report of delivered results."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from functools import partial
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
from mqi_communicator.flow.fraction_sources import sources_of
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.flow.trend import placed
from mqi_communicator.flow.view import CaseView, view_all
from mqi_communicator.results.trend import TrendPosition
from mqi_communicator.store import cases
from mqi_communicator.store.database import Database

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
        delivered = [view for view in found if view.results]
        if not delivered:
            exit_codes.print_error(
                "mqi: there are no delivered results to report on", "     mqi status shows the state of the cases"
            )
            raise typer.Exit(exit_codes.NOT_PASSED)
        os.umask(0o077)
        drawings = [_drawing(database, settings, view) for view in delivered]
        answers = asyncio.run(_redraw(settings, drawings))
        if as_json:
            print(json.dumps([{"case": key, "drawn": not why, "why": why} for key, why in answers.items()]))  # noqa: T201
        for key, why in answers.items() if not as_json else ():
            print(visible(f"{key}: {f'not generated: {why}' if why else 'generated'}"))  # noqa: T201
        if any(answers.values()):
            raise typer.Exit(exit_codes.NOT_PASSED)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is needed to draw the report of a case again."""

    view: CaseView
    trend: TrendPosition | None = None  # of a plan
    sources: FractionSources | None = None  # of a fraction


def _drawing(database: Database, settings: Config, view: CaseView) -> Drawing:
    if view.kind != CaseKind.FRACTION:
        return Drawing(view, trend=database.read_now(placed, view.case))
    case = database.read_now(cases.get, view.case)
    spool = partial(_spool, settings)
    return Drawing(view, sources=database.read_now(sources_of, case, spool, settings.calibrations))


def _spool(settings: Config, key: str) -> Spool:
    return Spool(settings.paths.workspace / "spool" / key)


async def _redraw(settings: Config, drawings: list[Drawing]) -> dict[str, str]:
    """Regenerate the reports in worker processes. Returns by case why that failed, or ""."""
    from mqi_communicator.flow.tasks import redraw_fraction_report, redraw_report
    from mqi_communicator.flow.workers.compiled import cache_of
    from mqi_communicator.flow.workers.pool import REPORT_PACKAGE, WorkerPool

    workers = WorkerPool(
        memory_gib=settings.resources.worker_memory_gib,
        limit_s=settings.report.limit_s,
        cache=cache_of(settings.paths.workspace),
        packages=(REPORT_PACKAGE,),
    )
    judgement, options = settings.judgement, settings.report
    answers: dict[str, str] = {}
    for one in drawings:
        spool, results = _spool(settings, one.view.case), Path(one.view.results)
        try:
            if one.sources is not None:
                await workers.run(redraw_fraction_report, spool, results, one.sources, judgement, options)
            else:
                conventions = settings.dose_conventions
                await workers.run(redraw_report, spool, results, judgement, conventions, options, one.trend)
        except Fault as fault:
            answers[one.view.case] = fault.reason + (f" -> {fault.advice}" if fault.advice else "")
        else:
            answers[one.view.case] = ""
    return answers
