"""How moqui speaks and dies."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


class Output:
    """How many bytes this run has said on stdout."""

    bytes = 0


def say(text: str) -> None:
    """A line on stdout, at once, as under `stdbuf -oL`."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    Output.bytes += len(text) + 1


def say_until(size: int, line: str) -> None:
    """Lines with a number for {n} until so many bytes have been said."""
    n = 0
    while Output.bytes < size:
        say(line.format(n=n))
        n += 1


def complain(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def throw(what: str, kind: str = "std::runtime_error") -> NoReturn:
    """An uncaught exception: exit code 134 in a shell."""
    complain(f"terminate called after throwing an instance of '{kind}'\n  what():  {what}")
    die(signal.SIGABRT)


def die(by: signal.Signals) -> NoReturn:
    """End by a signal, leaving no core."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(by, signal.SIG_DFL) if by != signal.SIGKILL else None
    os.kill(os.getpid(), by)
    raise SystemExit(1)  # not reached
