"""Cost of orchestration: the same jobs through the product and by a bare script.

A job is the stand-in engine that sleeps; a case has two, and the host runs two at once. So the least that anything can
take is known: half of what all jobs take.
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from statistics import median

from bench.environment import ssh_words
from bench.idle import cpu_s
from bench.overhead import by_hand
from tests.fleet.cases import write_case
from tests.fleet.checker import Run, runs_of
from tests.fleet.site import Fleet, reach

from mqi_communicator.app import build_engine
from mqi_communicator.config import Config, load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.dose.engine import JobRequest
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import write_input
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Complete
from mqi_communicator.intake.spooling import copy_to_spool

SLOTS = 2
BEAMS = (1, 2)
SETTLE_S = 0.5
WARM = 900  # the case that is taken before the measurement: then the libraries are loaded and the kernels compiled
LIMIT_S = 900.0
IDLE_CPU_S = 0.15  # in three seconds


@dataclass(frozen=True, slots=True)
class Peer:
    """How one program took all cases. Seconds; `None` where it does not apply."""

    wall: float  # from the drop of the first case to the last result
    cpu: float  # of the program and its children on this side, for all cases
    bound: float  # the least possible: what the jobs took, over the number of slots
    start: float  # from the drop to the first job's start
    end: float  # from the last job's end to the last result
    pause: float  # of a slot between two jobs, median; 0 for one case
    judging: float = 0.0  # of `end`: comparison and report of the last case

    @property
    def over_bound(self) -> float:
        """Time from the first job's start to the last one's end, over the least possible."""
        return (self.wall - self.start - self.end) / self.bound


def _site(base: Path, host: PrivateHost, seconds: float) -> Fleet:
    intake = {"rescan_s": 15, "settle_s": SETTLE_S, "no_dose_still_s": SETTLE_S}
    resources = {"jobs": SLOTS, "workers": 2}
    gpus = {"listed": [{"id": number, "memory_mib": 24_000} for number in range(SLOTS)]}
    return Fleet(base, [{**reach(host), "gpus": gpus}], seconds=seconds, intake=intake, resources=resources)


def product(base: Path, host: PrivateHost, cases: int, seconds: float) -> Peer:
    """`cases` at once into the folder of a running communicator."""
    site = _site(base, host, seconds)
    made = base / "made"
    made.mkdir()
    for number in range(1, cases + 1):
        write_case(made, number, f"case {number:04d}", beams=BEAMS)
    site.behave(seconds=0.1)
    process = site.start()
    try:
        site.drop(WARM)
        _until(site, "case.done", 1)
        site.behave(seconds=seconds)
        _until_idle(process.pid)
        cpu, began = cpu_s(process.pid), time.time()
        for number in range(1, cases + 1):
            (made / f"case {number:04d}").rename(site.watch / f"case {number:04d}")
            site.cases.append(number)
        _until(site, "case.done", 1 + cases)
        cpu = cpu_s(process.pid) - cpu
    finally:
        site.stop()
        site.end_strays()
    if not site.audit().clean:
        raise RuntimeError(f"the product lost or mixed cases: {site.audit()}")
    delivered, judging = _deliveries(site.log)
    return _peer([run for run in runs_of(site.witness) if run.case != WARM], began, max(delivered), cpu, judging)


def _until_idle(pid: int) -> None:
    """Wait until the communicator and its children, which compile at the start, do nothing for three seconds."""
    deadline, used = time.monotonic() + LIMIT_S, cpu_s(pid)
    while time.monotonic() < deadline:
        time.sleep(3.0)
        before, used = used, cpu_s(pid)
        if used - before < IDLE_CPU_S:
            return
    raise RuntimeError("the communicator never becomes idle")


def _until(site: Fleet, event: str, count: int) -> None:
    """Wait until the log has so many lines of an event."""
    deadline, wanted = time.monotonic() + LIMIT_S, f'"event": "{event}"'
    while site.log.read_text().count(wanted) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"never: {event}; see {site.log}")
        time.sleep(0.1)


def _deliveries(log: Path) -> tuple[list[float], float]:
    """When each case was delivered (epoch s); how long the last case's comparison and report took."""
    ends: dict[str, float] = {}
    judging: dict[str, float] = {}
    for line in log.read_text().splitlines():
        record = json.loads(line)
        if record["event"] != "step.done" or record.get("beam"):
            continue
        if record["step"] in ("compare", "report"):
            judging[record["case"]] = judging.get(record["case"], 0.0) + record["took_s"]
        elif record["step"] == "deliver":
            ends[record["case"]] = datetime.fromisoformat(record["timestamp"]).timestamp()
    last = max(ends, key=ends.__getitem__)
    return list(ends.values()), judging[last]


def _peer(runs: Sequence[Run], began: float, ended: float, cpu: float, judging: float = 0.0) -> Peer:
    token = attrgetter("token")
    jobs = [_span(list(group)) for _, group in groupby(sorted(runs, key=token), key=token)]
    return Peer(
        wall=ended - began,
        cpu=cpu,
        bound=sum(end - start for start, end in jobs) / SLOTS,
        start=min(start for start, _ in jobs) - began,
        end=ended - max(end for _, end in jobs),
        pause=_pause(jobs),
        judging=judging,
    )


def _span(programs: list[Run]) -> tuple[float, float]:
    """When a job's first program started and its last one ended."""
    return min(run.start for run in programs), max(run.end or run.start for run in programs)


def _pause(jobs: Sequence[tuple[float, float]]) -> float:
    """The median pause of a slot between two jobs: each start after the first ones follows the earliest end."""
    starts, ends = sorted(start for start, _ in jobs)[SLOTS:], sorted(end for _, end in jobs)
    return median(start - end for start, end in zip(starts, ends, strict=False)) if starts else 0.0


def script(base: Path, host: PrivateHost, cases: int, seconds: float) -> Peer:
    """The same input, programs and files by a shell script without any safety measure, two jobs at once."""
    site = _site(base, host, seconds)
    commands = dict(_inputs(site, cases))
    with _sockets() as folder:
        ssh = " ".join(ssh_words(host, folder / "s"))
        words = ("sh", str(Path(__file__).with_name("bare_cases.sh")), ssh, str(base / "input"), str(site.remote))
        cpu, began = _children_cpu_s(), time.time()
        jobs = [f"{case}/{beam}={command}" for case, beams in commands.items() for beam, command in beams]
        subprocess.run((*words, str(base / "back"), str(SLOTS), *jobs), check=True, timeout=LIMIT_S)
        ended = time.time()
    if len(list((base / "back").glob("*/*/log"))) < cases * len(BEAMS):
        raise RuntimeError(f"the bare script fetched no results; see {base}")
    return _peer(runs_of(site.witness), began, ended, _children_cpu_s() - cpu)


def _inputs(site: Fleet, cases: int) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Write the engine's input of each case by the product's own functions; the commands of its beams."""
    config: Config = load(site.config)
    for number in range(1, cases + 1):
        folder = write_case(site.folder, number, f"made {number}", beams=BEAMS)
        looked = examine(folder, config.intake, still_for=1e9)
        assert isinstance(looked, Complete), looked
        spool, engine = Spool(site.folder / f"spool-{number}"), build_engine(config)
        copy_to_spool(folder, spool.case, looked)
        write_input(spool, Preparer(engine, config.preparation), config.dose_conventions)
        together = site.folder / "input"
        together.mkdir(exist_ok=True)
        spool.input.rename(together / f"c{number}")
        works = [(beam, engine.job(JobRequest(beam)).work()) for beam in BEAMS]
        # the stand-in's witness tells jobs apart by their token
        yield (
            f"c{number}",
            [(beam, f"export MQI_TOKEN=c{number}-b{beam}-r1; {by_hand(work)}") for beam, work in works],
        )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _sockets() -> Iterator[Path]:
    """A folder with a short path for ssh's sockets."""
    with tempfile.TemporaryDirectory(prefix="mqi-bench-") as name:
        yield Path(name)
