"""Cases and verdicts as tables for a terminal."""

from __future__ import annotations

import time

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mqi_communicator.case.numbers import value_text
from mqi_communicator.flow.view import BeamView, CaseView

_FILE_WIDTH = 130  # characters of a line that goes into a file or a pipe


def console() -> Console:
    """The console for tables: as wide as the terminal, or wide enough for every table if there is none."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=max(plain.width, _FILE_WIDTH))


def table(found: list[CaseView]) -> Table:
    """Cases as rows, beams below their case."""
    grid = Table(title=None if found else "no cases yet", show_lines=False)
    for name in ("case", "folder", "step", "status", "verdict", "why"):
        grid.add_column(name, overflow="fold")
    for case in found:
        state = "action required" if case.needs_person else case.status
        folder = case.folder + (f" (revision {case.revision})" if case.revision > 1 else "")
        folder += f" (constancy {case.constancy})" if case.constancy else ""
        why = case.why + (f"; ready at about {_clock(case.eta)}" if case.eta is not None else "")
        grid.add_row(case.case, escape(folder), case.step, state, coloured(case.verdict), escape(why))
        if case.status not in ("done", "cancelled"):
            for beam in case.beams:
                grid.add_row("", f"  beam {beam.beam}", beam.step, _state(beam), "", escape(beam.why))
    return grid


def _clock(at: float) -> str:
    """A time of day, with its day where that is not today."""
    day = "" if time.strftime("%j", time.localtime(at)) == time.strftime("%j") else "%a "
    return time.strftime(f"{day}%H:%M", time.localtime(at))


def _state(beam: BeamView) -> str:
    if beam.needs_person:
        return "action required"
    computing = beam.step == "follow" and beam.percent is not None and beam.status == "waiting"
    return f"computing {beam.percent:.0f} %" if computing else beam.status


def coloured(word: str) -> str:
    """A verdict in its colour."""
    colour = {"pass": "green", "fail": "red bold"}.get(word, "yellow")
    return f"[{colour}]{escape(word)}[/]" if word else ""


def checks_table(checks: list[dict[str, object]]) -> Table:
    """The named checks of a verdict, each with its number, its limit, the points counted and the MC uncertainty."""
    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "scope", "verdict", "value"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("limit", overflow="fold")
    for name in ("points", "1 sigma"):
        grid.add_column(name, no_wrap=True, justify="right")
    for check in checks:
        points, noise = check["points"], check["uncertainty"]
        grid.add_row(
            escape(str(check["name"])),
            escape(str(check["scope"])),
            coloured(str(check["word"])),
            value_text(check["value"], str(check["unit"]), str(check["name"])),
            escape(str(check["limit"])),
            "-" if points is None else str(points),
            f"{100 * noise:.1f} %" if isinstance(noise, int | float) else "-",
        )
    return grid
