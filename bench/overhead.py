"""Overhead of the product: one case through it, and the same work by a shell script."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.environment import mqi, new_site, ssh_words

from mqi_communicator.app import build_engine
from mqi_communicator.case.model import CASE_ITEM
from mqi_communicator.case.work import Work as EngineWork
from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import write_sample
from mqi_communicator.dose.engine import JobRequest
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import read_case, write_input
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Complete
from mqi_communicator.intake.spooling import copy_to_spool

LIMIT_S = 900.0
WARM_S = 3.0  # a communicator that has run for months does not scan its folder for the first time


@dataclass(slots=True)
class CaseTiming:
    """One case through the product. Seconds from the moment its folder appeared."""

    delivered: float = 0.0
    excluded: dict[str, float] = field(default_factory=dict)  # step that the script does not have -> seconds it took
    ends: dict[str, float] = field(default_factory=dict)  # step -> when the last work item finished it


def product(base: Path, host: PrivateHost) -> CaseTiming:
    """The standard sample, from its drop into the folder of a running communicator to its delivered results."""
    slot = new_site(base, host)
    log = base / "product.log"
    made = slot.folder / "made"
    write_sample(made, size="standard")
    process = mqi(slot, "run", log)
    try:
        _until(log, "started")
        time.sleep(WARM_S)
        began = time.time()
        made.rename(slot.watch / "case")
        _until(log, "case.done", step="tidy")
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        slot.release()
    return _read(log, began)


def _until(log: Path, event: str, step: str | None = None) -> None:
    """Wait for a line of the log."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            record = json.loads(line)
            if record["event"] == event and (step is None or record.get("step") == step):
                return
        time.sleep(0.05)
    raise RuntimeError(f"never: {event} {step or ''}; see {log}")


def _read(log: Path, began: float) -> CaseTiming:
    ride = CaseTiming()
    for line in log.read_text().splitlines():
        record: dict[str, Any] = json.loads(line)
        at = datetime.fromisoformat(record["timestamp"]).timestamp() - began
        if record["event"] not in ("step.done", "case.done", "beam.done"):
            continue
        ride.ends[record["step"]] = at
        if record["step"] in ("compare", "report"):
            ride.excluded[record["step"]] = record["took_s"]
        elif record["step"] == "deliver":
            ride.delivered = at
    return ride


@dataclass(frozen=True, slots=True)
class Work:
    """The input and commands of the script: the same as those of the product."""

    input: Path
    commands: tuple[str, ...]


def prepare(base: Path, host: PrivateHost) -> Work:
    """Write the engine's input once, by the product's own functions."""
    slot = new_site(base, host)
    config = load(slot.config)
    write_sample(slot.watch / "case", size="standard")
    looked = examine(slot.watch / "case", config.intake, still_for=1e9)
    assert isinstance(looked, Complete), looked
    spool, engine = Spool(base / "spool"), build_engine(config)
    copy_to_spool(slot.watch / "case", spool.case, looked)
    write_input(spool, Preparer(engine, config.preparation), config.dose_conventions)
    plan = read_case(spool).plan
    slot.release()
    assert CASE_ITEM not in [beam.number for beam in plan.beams]
    works = {beam.number: engine.job(JobRequest(beam.number)).work() for beam in plan.beams}
    return Work(spool.input, tuple(f"{number}={by_hand(work)}" for number, work in works.items()))


def by_hand(work: EngineWork) -> str:
    """The same programs as a shell command line."""
    lines = [f"mkdir {shlex.quote(name)}" for name in work.folders]
    for program in work.programs:
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in program.env)
        lines.append(f"{settings} {shlex.join(program.argv)}".strip())
    return " && ".join(lines)


def script(base: Path, host: PrivateHost, work: Work) -> float:
    """Seconds that the script takes for the same case."""
    base.mkdir()
    with tempfile.TemporaryDirectory(prefix="mqi-bench-") as sockets:
        ssh = " ".join(ssh_words(host, Path(sockets) / "s"))
        words = ("sh", str(Path(__file__).with_name("bare_case.sh")), ssh, str(work.input), str(base / "remote"))
        began = time.perf_counter()
        subprocess.run((*words, str(base / "back"), *work.commands), check=True, timeout=LIMIT_S)
        took = time.perf_counter() - began
    if len(list((base / "back").glob("*/Outputs/*"))) < len(work.commands):
        raise RuntimeError(f"the bare script fetched no dose; see {base}")
    return took
