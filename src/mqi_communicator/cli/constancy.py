"""constancy: the samples that are recomputed automatically, and their results."""

from __future__ import annotations

import json
import time

import typer
from rich.markup import escape
from rich.table import Table

from mqi_communicator.case.times import minute
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.flow.background.constancy import Sample, as_record, basis_of, samples
from mqi_communicator.terminal import coloured, console


def constancy(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """List the constancy samples: last run, verdict, reason, next due. Exit 1 if one did not pass."""
    from importlib.metadata import version

    from mqi_communicator.app import build_engine
    from mqi_communicator.dose.prepare.preparer import Preparer

    with exit_codes.report_faults(config):
        settings = load(config)
        if not settings.constancy:
            exit_codes.print_error(
                "mqi: the configuration has no section `constancy`, so there are no constancy samples"
            )
            raise typer.Exit(exit_codes.NOT_PASSED)
        basis = basis_of(version("mqi-communicator"), Preparer(build_engine(settings), settings.preparation).evidence())
        found = open_store(settings).read_now(samples, settings.constancy, basis, time.time())
        if as_json:
            print(json.dumps([as_record(sample) for sample in found]))  # noqa: T201
        else:
            console().print(_table(found))
        if not all(map(_passed_or_running, found)):
            raise typer.Exit(exit_codes.NOT_PASSED)


def _passed_or_running(one: Sample) -> bool:
    """Whether its last run passed, or is still running."""
    return one.verdict == "pass" if one.status in ("", "done", "failed", "cancelled") else True


def _table(found: list[Sample]) -> Table:
    grid, now = Table(), time.time()
    for name in ("sample", "last", "case", "verdict", "reason", "next due"):
        grid.add_column(name, overflow="fold")
    for one in found:
        because = one.because + ("; its files have changed since the previous run" if one.changed_sample else "")
        outcome = coloured(one.verdict) or one.status
        grid.add_row(
            one.name,
            "never" if one.at is None else minute(one.at, now),
            one.case,
            outcome,
            escape(because),
            escape(_next(one, now)),
        )
    return grid


def _next(one: Sample, now: float) -> str:
    if one.due:
        return f"now: {one.due}"
    return "never" if one.next_due is None else minute(one.next_due, now)
