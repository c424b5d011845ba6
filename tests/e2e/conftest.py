"""A site for end-to-end tests: a private sshd, the real engine, a watched folder, and the CLI as a process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.processes import inside, kill

from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import write_sample
from mqi_communicator.demo.settings import demo_sections
from mqi_communicator.flow.view import view_all
from mqi_communicator.store.database import open_database

ENGINE = Path(os.environ.get("MQI_ENGINE_HOME", Path(__file__).parents[2] / ".setup/mcsquare"))
WRAPPER = """#!/bin/sh
# The real engine, which also notes each start and end: the witness of how many runs of a beam there were.
[ "$1" != there-is-no-input ] || exec "%(engine)s/MCsquare_linux" "$@"
d=$(pwd); t=${d##*/}
echo "start $t" >>"%(log)s"
"%(engine)s/MCsquare_linux" "$@"; c=$?
echo "end $t" >>"%(log)s"
exit $c
"""


class Site:
    """Folders, host and configuration of one test."""

    def __init__(self, folder: Path, host: PrivateHost, **changes: dict[str, object]) -> None:
        self.folder, self.host = folder, host
        self.watch, self.results = folder / "watch", folder / "results"
        self.workspace, self.remote = folder / "workspace", folder / "remote"
        self.witness = folder / "engine.log"
        self.daemons: list[Daemon] = []
        self.config = folder / "config.yaml"
        for place in (self.watch, self.results, self.workspace):
            place.mkdir(exist_ok=True)
        self.engine = self._engine()
        settings = {
            "paths": {
                "watch": str(self.watch),
                "workspace": str(self.workspace),
                "results": str(self.results),
                "remote": str(self.remote),
            },
            "ssh": host.options().model_dump(mode="json", exclude_defaults=True),
            **demo_sections(ENGINE, 20_000),
            "intake": {"rescan_s": 1, "settle_s": 0.3, "still_s": 1, "patience_s": 3, "no_dose_still_s": 1},
            "resources": {"jobs": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1},
            "direct": {"poll_s": 0.3},
            "retry": {"first_s": 0.3, "cap_s": 2, "probe_s": 2},
            "breaker": {"open_s": 1, "open_cap_s": 3},
            "judgement": {"gamma": {"per_beam": False}},
            "report": {"draw": False, "gamma": []},
            "monitoring": {"metrics_port": 0},
        }
        settings["engine"] |= {"home": str(self.engine), "threads": 1}
        for section, values in changes.items():
            settings[section] = {**settings.get(section, {}), **values}
        self.settings = settings
        self.save()

    def _engine(self) -> Path:
        """The fetched engine, its binary replaced by the wrapper that keeps the witness."""
        if not (ENGINE / "MCsquare_linux").is_file():
            pytest.fail(f"the engine is not in {ENGINE}; ./test.sh fetches it")
        home = self.folder / "engine"
        if not home.exists():
            home.mkdir()
            (home / "Materials").symlink_to(ENGINE / "Materials")
            binary = home / "MCsquare_linux"
            binary.write_text(WRAPPER % {"log": self.witness, "engine": ENGINE})
            binary.chmod(0o700)
        return home

    def drop(
        self,
        name: str = "case one",
        *,
        kind: str = "pass",
        size: str = "tiny",
        seed: int = 1,
        vendor: str = "",
        change: Callable[[Path], None] | None = None,
    ) -> Path:
        """Put a sample into the watched folder, in one rename; `change` is applied to its folder before."""
        made = self.folder / "made"
        write_sample(made, kind=kind, size=size, seed=seed, vendor=vendor)
        if change is not None:
            change(made)
        return made.rename(self.watch / name)

    def mqi(self, *words: str, timeout: float = 180, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run the CLI to its end; it reads `typed` on standard input."""
        argv = [sys.executable, "-m", "mqi_communicator", *words, "--config", str(self.config)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, input=typed)

    def status(self) -> list[dict[str, object]]:
        """The cases of `mqi status --json`, without starting an interpreter each time it is asked."""
        database = open_database(Path(self.settings["paths"]["workspace"]) / "store.sqlite3")
        try:
            found = database.read_now(view_all, time.time())
        finally:
            database.close()
        cases: list[dict[str, object]] = json.loads(json.dumps([case.to_dict() for case in found]))
        return cases

    def wait_for(self, wanted, what: str, seconds: float = 240):
        """The first case list that satisfies `wanted`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            cases = self.status()
            if wanted(cases):
                return cases
            time.sleep(0.2)
        pytest.fail(f"never: {what}\n{json.dumps(cases, indent=1)}")

    def save(self) -> None:
        """Write `settings` as the configuration of the next start."""
        self.config.write_text(yaml.safe_dump(self.settings))

    def change(self, section: str, **values: object) -> None:
        """Other settings from the next start on."""
        self.settings[section] |= values
        self.save()

    def commission_engine(self) -> None:
        """Declare the wrapper as the engine, as `mqi check` requires of the one on the host."""
        binary = self.engine / "MCsquare_linux"
        self.change("engine", engine_sha256=hashlib.sha256(binary.read_bytes()).hexdigest())

    def histories(self, number: int) -> None:
        """Let the engine take longer, or be more certain."""
        self.change("engine", histories_per_beam=number)

    def reports(self) -> None:
        """Draw the report of each case, which most tests do not look at."""
        self.change("report", draw=True)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """The store, read with nothing of ours."""
        with contextlib.closing(sqlite3.connect(load(self.config).paths.store)) as store:
            return store.execute(query).fetchall()

    def starts(self) -> list[str]:
        """The tokens for which the engine was started, as its wrapper noted them."""
        text = self.witness.read_text() if self.witness.exists() else ""
        return [line.split()[1] for line in text.splitlines() if line.startswith("start ")]

    def daemon(self) -> Daemon:
        """Start `mqi run`; it ends with the test at the latest."""
        self.daemons.append(Daemon(self))
        return self.daemons[-1]


class Daemon:
    """`mqi run` as a process; its log is read line by line."""

    def __init__(self, site: Site) -> None:
        argv = [sys.executable, "-m", "mqi_communicator", "run", "--config", str(site.config)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, object]] = []
        self.output = self.complaints = ""

    def events(self) -> Iterator[dict[str, object]]:
        """Log records as they come, until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            record = json.loads(line)
            self.lines.append(record)
            yield record

    def until(self, event: str) -> dict[str, object]:
        """Read the log up to a line of this event."""
        return next(record for record in self.events() if record["event"] == event)

    def kill(self) -> None:
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
            self._reap()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        with self.process:
            self.output, self.complaints = self.process.communicate(timeout=60)
        return self.process.returncode

    def rest(self) -> Iterator[dict[str, object]]:
        """The records of the log that nobody had read when it ended."""
        return (json.loads(line) for line in self.output.splitlines())


@pytest.fixture
def host(tmp_path) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path / "host") as private:
        yield private


@pytest.fixture
def site(tmp_path, host) -> Iterator[Site]:
    made = Site(tmp_path, host)
    yield made
    for daemon in made.daemons:
        daemon.kill()
    kill(inside(made.remote))  # jobs outlive what started them
    shutil.rmtree(tmp_path, ignore_errors=True)
