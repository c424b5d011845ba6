"""Exit codes, and how a fault becomes one: words for a person on stderr, never a stack trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mqi_communicator.case.faults import Fault, Unreachable
from mqi_communicator.cli.rescue import how_to_restore
from mqi_communicator.config import ConfigProblem
from mqi_communicator.store.database import StoreDamaged

PASSED = 0  # all is well; for `once`: every case passed
NOT_PASSED = 1  # `once`, `demo`: some case ended as anything else than passed; others: the answer is no
USAGE = 2  # usage or configuration
UNREACHABLE = 3  # the host cannot be reached
INTERRUPTED = 130


@contextmanager
def told(config: Path | None = None) -> Iterator[None]:
    """Turn what went wrong into words and an exit code. `config` is the file to name in commands that help."""
    try:
        yield
    except ConfigProblem as problem:
        say(str(problem))
        raise typer.Exit(USAGE) from None
    except Unreachable as fault:
        say(*_words(fault))
        raise typer.Exit(UNREACHABLE) from None
    except StoreDamaged as fault:
        say(f"mqi: {fault.reason}", *(f"     {line}" for line in how_to_restore(config or Path("config.yaml"))))
        raise typer.Exit(NOT_PASSED) from None
    except Fault as fault:
        say(*_words(fault))
        raise typer.Exit(NOT_PASSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def say(*lines: str) -> None:
    """Words for a person, on stderr."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - the command line's voice


def _words(fault: Fault) -> list[str]:
    return [f"mqi: {fault.reason}", *([f"     {fault.advice}"] if fault.advice else [])]
