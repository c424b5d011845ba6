"""Exit codes, and how a fault becomes one: a message on stderr, never a stack trace."""

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
    PASSED: "Success.",
    NOT_PASSED: "Failure: a check or the command did not succeed; `once`, `demo`: at least one case did not pass.",
    USAGE: "Usage error, or an error in the configuration.",
    UNREACHABLE: "The host is unreachable.",
    INTERRUPTED: "Interrupted (Ctrl-C).",
}
_MORE = {  # added in docs/cli.md
    PASSED: "`once`, `demo`: every case passed. `run`, `web`: stopped on request.",
    NOT_PASSED: "stderr gives the reason. `once`: also if it was stopped early. `check`: at least one check failed. "
    "`constancy`: a sample did not pass. `audit --verify`: the chain is broken. `report`: a report was not generated. "
    "`notify --test`: a message was not accepted. An order: it does nothing in the "
    "present state of the case. `run`: on stopping, a task did not end in time.",
    USAGE: "An unknown case is a usage error too.",
    UNREACHABLE: "`once`: unfinished cases wait for it.",
    INTERRUPTED: "Exceptions: Ctrl-C stops `run` and `web` with exit code 0 and `once` with 1.",
}


def table(*, short: bool = False) -> str:
    """Every exit code and its meaning as a Markdown table: in full for docs/cli.md, short for the README."""
    rows = ((str(code), text if short else f"{text} {_MORE[code]}") for code, text in MEANINGS.items())
    return markdown_table(("exit code", "meaning"), rows)


@contextmanager
def report_faults(config: Path | None = None) -> Iterator[None]:
    """Report a fault on stderr and exit with its code. `config` is the file to name in suggested commands."""
    try:
        yield
    except Fault as fault:
        raise typer.Exit(_report(fault, config or Path("config.yaml"))) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _report(fault: Fault, config: Path) -> int:
    """Report the fault and return its exit code. The configuration and the store are imported only then."""
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
    """Print lines to stderr."""
    for line in lines:
        print(visible_lines(line), file=sys.stderr)  # noqa: T201 - the output of the command line


def _fault_lines(fault: Fault) -> list[str]:
    return [f"mqi: {fault.reason}", *([f"     {fault.advice}"] if fault.advice else [])]
