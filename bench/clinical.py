"""Cost of a case of the size that clinics have, from the end of its last job to the delivered report.

The engine is a stand-in that copies planted doses. Processor time is that of the communicator with all its processes;
memory the largest of any of them, mapped files included.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.clinical_case import install_engine, plant_doses, write_case
from bench.environment import ENGINE, mqi, new_site
from bench.idle import cpu_s, family

from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost

LIMIT_S = 1800.0
SAMPLE_S = 0.05


@dataclass(slots=True)
class Cost:
    """One case. Processor seconds, and the largest resident memory of a process in GiB."""

    verdict: str = ""
    cpu_s: float = 0.0  # from the last job's end to the delivery
    whole_cpu_s: float = 0.0  # from the folder's appearance to the delivery
    peak_gib: float = 0.0  # from the last job's end
    whole_peak_gib: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)  # step -> processor seconds


def measure(base: Path, host: PrivateHost, *, coarse: bool, factor: float, made: Path | None = None) -> Cost:
    """Run one case. `made`: its DICOM files, if they have been written before."""
    base.mkdir(parents=True)
    home, hold = base / "engine", base / "hold"
    install_engine(home, ENGINE, hold)
    slot = new_site(base, host, engine={"home": str(home)})
    plant_doses(home, load(slot.config), factor)
    if made is None:
        made = base / "made"
        write_case(made, coarse=coarse)
    hold.touch()
    log = base / "clinical.log"
    process = mqi(slot, "run", log)
    cost = Cost()
    try:
        _until(log, lambda one: one["event"] == "started")
        began = cpu_s(process.pid)
        with _watched(process.pid) as peak:
            made.rename(slot.watch / "case")
            _until(log, lambda one: one["event"] == "beam.done", count=3)
            time.sleep(3)  # what follows an end is over
            cost.whole_peak_gib, peak[0] = peak[0], 0.0
            before = cpu_s(process.pid)
            hold.unlink()
            marks = _steps(log, process.pid)
            after = cpu_s(process.pid)
        cost.cpu_s, cost.whole_cpu_s, cost.peak_gib = after - before, after - began, peak[0]
        cost.whole_peak_gib = max(peak[0], cost.whole_peak_gib)
        cost.steps = {step: at - last for (step, at), (_, last) in zip(marks, [("", before), *marks], strict=False)}
        delivered = next(slot.results.glob("*/verdict.json"))
        cost.verdict = str(json.loads(delivered.read_text())["word"])
        assert (delivered.parent / "report.pdf").is_file(), log.read_text()[-3000:]
    finally:
        process.terminate()
        process.wait(60)
        slot.release()
    return cost


def _steps(log: Path, pid: int) -> list[tuple[str, float]]:
    """Processor time at the end of each step, until the case is delivered."""
    found: list[tuple[str, float]] = []
    for step in ("follow", "collect", "verify", "compare", "report", "deliver"):
        _until(log, lambda one, step=step: one.get("step") == step and one["event"] in _DONE, count=_COUNT.get(step, 4))
        found.append((step, cpu_s(pid)))
    return found


_DONE = ("step.done", "beam.done", "case.done")
_COUNT = {"compare": 1, "report": 1, "deliver": 1}


def _until(log: Path, wanted: Any, count: int = 1) -> None:
    """Wait for lines of the log."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        if failed := [one for one in lines if one["event"] in ("case.failed", "beam.failed", "report.missing")]:
            raise RuntimeError(f"the case failed: {failed[0]}")
        if sum(map(bool, map(wanted, lines))) >= count:
            return
        time.sleep(0.02)
    raise RuntimeError(f"a line did not appear; see {log}")


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The largest resident memory of the processes below `pid`, in GiB, so far."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            peak[0] = max(peak[0], max(map(_high_water_gib, family(pid)), default=0.0))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _high_water_gib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / (1 << 20) for line in lines if line.startswith("VmHWM:")), 0.0)
