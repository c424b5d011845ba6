"""The power of this machine fails, again and again: what was not fsynced is lost, and every case is computed once."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.fleet.site import Fleet, reach, until
from tests.power.disk import Disk, reason_missing

from mqi_communicator.demo.host import PrivateHost

pytestmark = pytest.mark.skipif(bool(reason_missing()), reason=reason_missing())
CASES, CUTS = (1, 2, 3, 4), 8
STARTED = b'"event": "started"'


class Powered:
    """A fleet whose workspace and results are on disks that can lose their power."""

    def __init__(self, folder: Path, host: PrivateHost) -> None:
        self.disks = [Disk(folder / name, folder / f"{name}-stored") for name in ("workspace", "results")]
        self.power_on()
        gpus = {"listed": [{"id": number, "memory_mib": 24_000} for number in range(3)]}
        self.fleet = Fleet(folder, [{**reach(host), "gpus": gpus}], backup={"every_s": 15, "keep": 3})

    def power_on(self) -> None:
        for disk in self.disks:
            disk.power_on()

    def cut(self) -> None:
        """Nothing runs any more, and what was not durable is gone."""
        self.fleet.stop(signal.SIGKILL)
        for disk in self.disks:
            disk.cut()

    def half_delivered(self) -> list[str]:
        """Results whose name is there and whose files are not all there, or are not those of the manifest."""
        found = []
        for folder in self.fleet.results.iterdir():
            if folder.name.startswith("."):
                continue
            try:
                outputs = json.loads((folder / "manifest.json").read_text())["outputs"]
                wrong = [
                    one["name"]
                    for one in outputs
                    if hashlib.sha256((folder / one["name"]).read_bytes()).hexdigest() != one["sha256"]
                ]
            except (OSError, ValueError) as error:
                wrong = [type(error).__name__]
            found += [f"{folder.name}: {wrong}"] if wrong else []
        return found


@pytest.fixture
def powered(tmp_path: Path) -> Iterator[Powered]:
    (tmp_path / "site").mkdir()
    with PrivateHost(tmp_path / "host") as host:
        made = Powered(tmp_path / "site", host)
        yield made
        made.fleet.end_strays()
        made.cut()


@pytest.mark.parametrize("seed", [1, 2])
def test_power_cuts_lose_and_double_nothing(powered: Powered, seed: int):
    random, fleet = Random(seed), powered.fleet
    fleet.drop(*CASES)
    for _ in range(CUTS):
        fleet.start()
        time.sleep(random.uniform(3, 14))
        powered.cut()
        powered.power_on()
        assert powered.half_delivered() == []
    starts = fleet.log.read_bytes().count(STARTED)
    process = fleet.start()
    until(lambda: fleet.log.read_bytes().count(STARTED) > starts, "the communicator has started again")
    assert fleet.until_ended(len(CASES)), f"{process.poll()} {fleet.mqi('status').stdout}"
    assert fleet.stop() == 0
    fleet.must_be_done()
    assert not fleet.audit().waiting
    verified = fleet.mqi("audit", "--verify")
    assert verified.returncode == 0, verified.stdout
