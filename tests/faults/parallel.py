"""Rounds in parallel: separate processes with their own mounts play them, and the results are combined."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.report import read
from tests.faults.round import Outcome


def play_in_parallel(number: int, seed: int, argv: Sequence[str], kept: Path | None) -> list[Outcome]:
    """Distribute the seeds over `number` processes; return the rounds in the order of their seeds.

    `argv` are the given arguments; `kept` is the file of --json, with a line for each round.
    A process that ends without having played is an error of the harness.
    """
    with tempfile.TemporaryDirectory(prefix="mqi-faults-told-") as folder:
        results = kept or Path(folder, "rounds")
        results.touch()
        before = len(read(results))
        playing = [_play(argv, seed + lane, number, results) for lane in range(number)]
        try:
            codes = [process.wait() for process in playing]
        finally:
            for process in playing:
                process.terminate()
                process.wait()
        if any(codes):
            raise RuntimeError(f"the processes that played the rounds ended with {codes}")
        return sorted(read(results)[before:], key=lambda outcome: outcome.seed)


def _play(argv: Sequence[str], seed: int, stride: int, results: Path) -> subprocess.Popen[bytes]:
    """Start a process with the same arguments, except those that `lane` overrides."""
    again = [word for word in argv if word != "--write"]
    lane = ("--at-once", "1", "--seed", str(seed), "--stride", str(stride), "--json", str(results))
    return subprocess.Popen((sys.executable, "-m", "tests.faults", *again, *lane))
