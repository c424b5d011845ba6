"""A communicator with a fast engine: its folders, its configuration, its process."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import yaml

from mqi_communicator.demo.host import PrivateHost
from tests.fleet.cases import write_case
from tests.fleet.checker import Audit, audit, runs_of
from tests.fleet.noisy import install_physics
from tests.processes import inside, kill
from tests.standin.site import sections

ENGINE = Path(__file__).with_name("engine.py")
PATIENCE_S = 300.0


def reach(private: PrivateHost, **options: object) -> dict[str, object]:
    """A host's entry for the list `hosts` of the configuration."""
    return {"ssh": private.options(**options).model_dump(mode="json", exclude_defaults=True)}


def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for a condition; fail if it is not met in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


class Fleet:
    """A site whose cases are all distinguishable. `hosts` is the configuration's list of hosts."""

    def __init__(self, folder: Path, hosts: list[dict[str, Any]], *, seconds: float = 1.0, **changes: Any) -> None:
        self.folder = folder
        self.watch, self.results, self.workspace = folder / "watch", folder / "results", folder / "workspace"
        self.witness, self.config, self.log = folder / "witness", folder / "config.yaml", folder / "mqi.log"
        self.hold = folder / "hold"
        self.remote = folder / "remote"
        self.store = self.workspace / "store.sqlite3"
        self.cases: list[int] = []
        for place in (self.watch, self.results, self.workspace, folder / "engine"):
            place.mkdir(parents=True, exist_ok=True)
        self.program = folder / "engine" / "tps_env"
        self.behave(seconds=seconds)
        install_physics(folder / "engine" / "physics")
        self.program.write_text(
            f"#!/bin/sh\nFLEET_SETTINGS='{folder}/engine/engine.json' exec '{sys.executable}' -S -E '{ENGINE}' \"$@\"\n"
        )
        self.program.chmod(0o755)
        self.settings = {
            "paths": {
                "watch": str(self.watch),
                "workspace": str(self.workspace),
                "results": str(self.results),
                "remote": str(self.remote),
            },
            "hosts": hosts,
            **sections(self.program, folder / "beam_file.txt", format="raw", histories_per_beam=1000),
            "intake": {"rescan_s": 2, "settle_s": 0.5, "still_s": 2, "patience_s": 20, "no_dose_still_s": 2},
            "resources": {"workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1, "calls_per_minute": 100_000},
            "retry": {"first_s": 0.5, "cap_s": 5, "probe_s": 3},
            "breaker": {"open_s": 1, "open_cap_s": 5},
            "judgement": {"gamma": {"per_beam": False, "dose_percent": 20, "distance_mm": 1}},
            "monitoring": {"metrics_port": 0},
            "report": {"draw": False},
        }
        for section, values in changes.items():
            whole = values if isinstance(values, list) else {**self.settings.get(section, {}), **values}
            self.settings[section] = whole
        self.save()
        self.process: subprocess.Popen[bytes] | None = None

    def save(self) -> None:
        """Write the configuration; communicators that start later use it."""
        self.config.write_text(yaml.safe_dump(self.settings))

    def behave(self, **setting: Any) -> None:
        """Set the behaviour of the engine."""
        file = self.folder / "engine" / "engine.json"
        known = (
            json.loads(file.read_text())
            if file.exists()
            else {
                "witness": str(self.witness),
                "hold": str(self.hold),
                "physics": str(self.folder / "engine" / "physics" / "tps_env"),
            }
        )
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(known | setting))
        aside.rename(file)

    def drop(self, *numbers: int) -> None:
        """Write cases to the watched folder."""
        for number in numbers:
            write_case(self.watch, number)
            self.cases.append(number)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the communicator, with its log in a file."""
        words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(self.config))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        return self.process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(60)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the store, read without code of the product."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(query, values).fetchall()

    def ended(self) -> int:
        """How many cases have ended."""
        with suppress(sqlite3.Error):
            query = "select count(*) from work_items where beam = 0 and status in ('done', 'failed', 'cancelled')"
            return int(self.ask(query)[0][0])
        return 0

    def until_ended(self, count: int, seconds: float = PATIENCE_S) -> bool:
        """Whether `number` cases ended in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ended() >= count:
                return True
            time.sleep(0.5)
        return False

    def mqi(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the CLI to its end."""
        argv = [sys.executable, "-m", "mqi_communicator", *words, "--config", str(self.config)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)

    def audit(self) -> Audit:
        """The findings of the independent checker."""
        return audit(self.cases, self.results, self.witness, self.store)

    def must_be_done(self) -> None:
        """Check that every dropped case has its result, without defects."""
        found = self.audit()
        assert sorted(found.done) == sorted(self.cases), found
        assert found.clean, found

    def tokens(self) -> set[str]:
        """The tokens of the runs that the engine started."""
        return {run.token for run in runs_of(self.witness)}

    def end_strays(self) -> None:
        """End remaining jobs: they outlive the communicator, and a failed test must not leave any."""
        kill(inside(self.folder))
