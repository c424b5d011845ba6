"""Cases and verdicts as tables for a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mqi_communicator.case.numbers import value_text
from mqi_communicator.case.states import words
from mqi_communicator.case.times import minute, short
from mqi_communicator.case.views import BeamView, CaseView, needs_action, state_of_beam

_FILE_WIDTH = 130  # characters of a line that goes into a file or a pipe


def console() -> Console:
    """The console for tables: as wide as the terminal, or wide enough for every table if there is none."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=max(plain.width, _FILE_WIDTH))


def table(found: Sequence[CaseView], *, head: bool = True) -> Table:
    """Cases as rows, beams below their case, times local. The columns of tables on one console are equally wide."""
    now = time.time()
    grid = Table(box=None, show_header=head, header_style="bold", expand=True, pad_edge=False)
    grid.add_column("case", width=12, no_wrap=True)
    grid.add_column("received", width=16)
    grid.add_column("folder", ratio=2, overflow="fold")
    grid.add_column("status", width=21)
    grid.add_column("why", ratio=5, overflow="fold")
    for case in found:
        grid.add_row(case.case, short(case.seen, now), Text(_folder(case)), _status(case), Text(_why(case, now)))
        if case.status not in ("done", "failed", "cancelled"):
            for beam in case.beams:
                if beam.status != "done":
                    grid.add_row("", "", f"  beam {beam.beam}", Text(_beam_status(beam)), Text(_beam_why(beam)))
    return grid


def _folder(case: CaseView) -> str:
    revision = f" (revision {case.revision})" if case.revision > 1 else ""
    constancy = f" (constancy {case.constancy})" if case.constancy else ""
    identity = ", ".join(filter(None, (case.patient_id, case.plan_label)))
    return case.folder + revision + constancy + (f": {identity}" if identity else "")


def _status(case: CaseView) -> Text:
    if case.state in ("done", "to_review") and case.verdict:
        return Text(f"{words(case.state)}: {words(case.verdict)}", _colour(case.verdict))
    if case.state in ("done", "cancelled"):
        return Text(case.state)
    return Text(f"{case.step}, {words(case.state)}", "red bold" if needs_action(case) else "")


def _why(case: CaseView, now: float) -> str:
    ready = "" if case.eta is None else f"; result expected at {minute(case.eta, now)}"
    advice = f" -> {case.advice}" if case.advice and needs_action(case) else ""
    return case.why + ready + advice


def _beam_status(beam: BeamView) -> str:
    state = state_of_beam(beam)
    if state == "computing":
        return state if beam.percent is None else f"{state} {beam.percent:.0f} %"
    return f"{beam.step}, {words(state)}"


def _beam_why(beam: BeamView) -> str:
    return f"{beam.why} -> {beam.advice}" if beam.advice and beam.needs_person else beam.why


def _colour(verdict: str) -> str:
    return {"pass": "green", "fail": "red bold"}.get(verdict, "yellow")


def coloured(word: str) -> str:
    """A verdict in its colour."""
    return f"[{_colour(word)}]{escape(word)}[/]" if word else ""


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
