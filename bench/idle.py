"""Cost of the idle daemon with its dashboard: processor time and memory, with many finished cases in the folder."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.environment import mqi, new_site

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem, new_key
from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import sample_files, write_sample
from mqi_communicator.demo.slot import Slot
from mqi_communicator.intake.scan import scan_folder
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

WARM_S = 10.0
WORK_S = 400.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Usage of the idle daemon."""

    cpu: float  # fraction of one core, with all its descendants: the dashboard is one
    rss_mib: float  # of the daemon alone
    files: int  # in the watched folder


def idle(base: Path, host: PrivateHost, *, folders: int, seconds: float) -> Idle:
    """Measure a daemon that has done one real case and now has `folders` finished ones in its folder."""
    defaults = load_defaults()
    quick = {"histories_per_beam": 2000}
    slot = new_site(base, host, intake=defaults, engine=quick, direct={"poll_s": 5}, web={"port": 0})
    files = _finished(slot, folders - 1)
    write_sample(slot.watch / "real", size="tiny")
    log = base / "idle.log"
    process = mqi(slot, "run", log)
    try:
        _wait_for(log, '"step": "tidy"')
        time.sleep(WARM_S)
        before, began = cpu_s(process.pid), time.perf_counter()
        time.sleep(seconds)
        cpu = (cpu_s(process.pid) - before) / (time.perf_counter() - began)
        return Idle(cpu, _rss_mib(process.pid), files)
    finally:
        process.terminate()
        process.wait(WORK_S)
        slot.release()


def load_defaults() -> dict[str, float]:
    """The intake's own defaults in place of the demo's, which scans the folder more often."""
    return {"rescan_s": 15.0, "settle_s": 3.0}


def _finished(slot: Slot, count: int) -> int:
    """Make case folders that are recorded as done; a clinic leaves them in the watched folder."""
    content = sample_files(size="tiny")
    database = open_database(load(slot.config).paths.store)
    for number in range(count):
        folder = slot.watch / f"done-{number:03d}"
        for name, data in content.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[:2048])
        _plant(database, folder)
    database.close()
    return (count + 1) * len(content)


def _plant(database, folder: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a Database
    key, now = new_key(), time.time()
    case = cases.Case(key, folder, now, scan_folder(folder).fingerprint, now, content=key, lineage=key, word="pass")
    line = WorkItem(key, CASE_ITEM, "tidy", Status.DONE, due=now, since=now)
    database.write_now(cases.add, case)
    database.write_now(work_items.add, line, Event(now, key, CASE_ITEM, "case.done", "tidy", "", Status.DONE))


def _wait_for(log: Path, what: str) -> None:
    end = time.monotonic() + WORK_S
    while not any('"case.done"' in line and what in line for line in log.read_text().splitlines()):
        if time.monotonic() > end:
            raise RuntimeError(f"the case did not end; see {log}")
        time.sleep(0.5)


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for one in found:
        for tasks in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):  # it has just ended
                found += map(int, tasks.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds of a process, its living descendants, and those it has reaped."""
    ticks = 0
    for one in family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the daemon is gone")
