"""trend: the results of the delivered cases of each machine, with mean and two standard deviations."""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mqi_communicator.case.times import minute, utc
from mqi_communicator.case.views import cell
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.flow.trend import LAST, fraction_trend_of, trend_of, trends
from mqi_communicator.results.trend import COLUMNS, OF_FRACTIONS, Columns, Trend
from mqi_communicator.terminal import coloured, console

MEAN, TWO_SD = "mean", "2 SD"


def trend(
    config: ConfigFile = DEFAULT,
    machine: Annotated[str, typer.Option("--machine", "-m", help="Only this TreatmentMachineName.")] = "",
    last: Annotated[int, typer.Option(help="Number of cases per machine.", min=1, max=10_000)] = LAST,
    *,
    deliveries: Annotated[
        bool, typer.Option("--deliveries", help="The fractions that were delivered: MU and offsets as recorded.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV; the column `row` separates cases from statistics.")
    ] = False,
) -> None:
    """Show gamma, dose scale and range difference of the delivered cases by machine, with mean and 2 SD."""
    with exit_codes.report_faults(config):
        if as_json and as_csv:
            exit_codes.print_error("mqi: give either --json or --csv")
            raise typer.Exit(exit_codes.USAGE)
        of = fraction_trend_of if deliveries else trend_of
        known, found = open_store(load(config)).read_now(trends, machine, last, of)
        if machine and machine not in known:
            names = ", ".join(known) or "none"
            exit_codes.print_error(
                f'mqi: no case of the machine "{machine}" was judged', f"     known machines: {names}"
            )
            raise typer.Exit(exit_codes.USAGE)
        if as_json:
            print(json.dumps([_record(one) for one in found]))  # noqa: T201
        elif as_csv:
            _write(found, OF_FRACTIONS if deliveries else COLUMNS)
        else:
            _show(found, deliveries=deliveries)


def _record(one: Trend) -> dict[str, object]:
    spreads = {column: asdict(one.spread(column)) for column in one.columns}
    return {"machine": one.machine, "spread": spreads, "cases": [asdict(row) for row in one.rows]}


def _write(found: list[Trend], columns: Columns) -> None:
    out = csv.writer(sys.stdout)
    out.writerow(("row", "machine", "case", "date", "verdict", *columns))
    for one in found:
        for row in one.rows:
            values = [_plain(getattr(row, column)) for column in columns]
            out.writerow(("case", cell(one.machine), row.case, utc(row.at), row.verdict, *values))
        for name in (MEAN, TWO_SD):
            out.writerow((name, cell(one.machine), "", "", "", *_sums(one, name)))


def _sums(one: Trend, name: str) -> list[str]:
    spreads = [one.spread(column) for column in one.columns]
    return [_plain(spread.mean if name == MEAN else spread.two_sd) for spread in spreads]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _show(found: list[Trend], *, deliveries: bool) -> None:
    screen, now = console(), time.time()
    if not found:
        screen.print("no results were delivered yet")
    for one in found:
        grid = Table(title=escape(visible(f"{one.machine}: {len(one.rows)} {'fractions' if deliveries else 'cases'}")))
        for name in ("judged", "case", "verdict"):
            grid.add_column(name)
        for what, unit, _digits in one.columns.values():
            grid.add_column(f"{what} ({unit})" if unit else what, justify="right")
        for row in one.rows:
            values = [_formatted(getattr(row, column), digits) for column, (*_, digits) in one.columns.items()]
            grid.add_row(minute(row.at, now), row.case, coloured(row.verdict), *values)
        grid.add_section()
        spreads = [(one.spread(column), digits) for column, (*_, digits) in one.columns.items()]
        grid.add_row(MEAN, "", "", *(_formatted(spread.mean, digits) for spread, digits in spreads))
        grid.add_row(TWO_SD, "", "", *(_formatted(spread.two_sd, digits) for spread, digits in spreads))
        screen.print(grid)


def _formatted(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
