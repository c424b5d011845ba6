"""Exit codes, and how a fault becomes one: words for a person on stderr, never a stack trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mqi_communicator.case.faults import Fault, Unreachable
from mqi_communicator.case.views import markdown_table
from mqi_communicator.case.visible import visible_lines

PASSED = 0
NOT_PASSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130
MEANINGS = {
    PASSED: "All is well.",
    NOT_PASSED: "The answer is no, or it could not be done; `once`, `demo`: some case is anything else than passed.",
    USAGE: "Wrong use, or a mistake in the configuration.",
    UNREACHABLE: "The host cannot be reached.",
    INTERRUPTED: "Interrupted (Ctrl-C).",
}
_MORE = {  # what else docs/cli.md says of them
    PASSED: "`once`, `demo`: every case passed. `run`, `web`: ended because somebody asked for it.",
    NOT_PASSED: "stderr says why. `once`: also where it was stopped before the end. `check`: something is wrong. "
    "`constancy`: a sample did not pass. `audit --verify`: the chain is broken. `report`: a report was not drawn. "
    "`notify --test`: a message was not taken. `run`: it was asked to stop, and something did not end in time.",
    USAGE: "A case that nobody knows is wrong use too.",
    UNREACHABLE: "`once`: what is not done yet waits for it.",
    INTERRUPTED: "Not so `run` and `web`, which end with 0, and `once`, which ends with 1: it only asks them to stop.",
}


def table(*, short: bool = False) -> str:
    """Every exit code and what it means, in Markdown: in docs/cli.md, and in short in the README."""
    rows = ((str(code), text if short else f"{text} {_MORE[code]}") for code, text in MEANINGS.items())
    return markdown_table(("exit code", "meaning"), rows)


@contextmanager
def report_faults(config: Path | None = None) -> Iterator[None]:
    """Turn what went wrong into words and an exit code. `config` is the file to name in commands that help."""
    try:
        yield
    except Fault as fault:
        raise typer.Exit(_report(fault, config or Path("config.yaml"))) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _report(fault: Fault, config: Path) -> int:
    """Say it; the exit code. What knows the configuration and the store is imported once something went wrong."""
    from mqi_communicator.cli.rescue import how_to_restore
    from mqi_communicator.config import ConfigProblem
    from mqi_communicator.store.database import StoreDamaged

    match fault:
        case ConfigProblem():
            print_error(str(fault))
            return USAGE
        case Unreachable():
            print_error(*_fault_lines(fault))
            return UNREACHABLE
        case StoreDamaged():
            print_error(f"mqi: {fault.reason}", *(f"     {line}" for line in how_to_restore(config)))
        case _:
            print_error(*_fault_lines(fault))
    return NOT_PASSED


def print_error(*lines: str) -> None:
    """Words for a person, on stderr."""
    for line in lines:
        print(visible_lines(line), file=sys.stderr)  # noqa: T201 - the command line's voice


def _fault_lines(fault: Fault) -> list[str]:
    return [f"mqi: {fault.reason}", *([f"     {fault.advice}"] if fault.advice else [])]
