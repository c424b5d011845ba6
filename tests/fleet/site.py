"""A communicator with a fast engine: its folders, its configuration, its process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.fleet.cases import write_case
from tests.fleet.checker import Audit, audit
from tests.standin.site import sections

ENGINE = Path(__file__).with_name("engine.py")


class Fleet:
    """A site whose every case can be told apart. `hosts` is the configuration's list of hosts."""

    def __init__(self, folder: Path, hosts: list[dict[str, Any]], *, seconds: float = 1.0, **changes: Any) -> None:
        self.folder = folder
        self.watch, self.results, self.workspace = folder / "watch", folder / "results", folder / "workspace"
        self.witness, self.config, self.log = folder / "witness", folder / "config.yaml", folder / "mqi.log"
        self.hold = folder / "hold"
        self.store = self.workspace / "store.sqlite3"
        self.cases: list[int] = []
        for place in (self.watch, self.results, self.workspace, folder / "engine"):
            place.mkdir(parents=True, exist_ok=True)
        self.program = folder / "engine" / "tps_env"
        self.behave(seconds=seconds)
        self.program.write_text(
            f"#!/bin/sh\nFLEET_SETTINGS='{folder}/engine/engine.json' exec '{sys.executable}' -S -E '{ENGINE}' \"$@\"\n"
        )
        self.program.chmod(0o755)
        self.settings = {
            "paths": {
                "watch": str(self.watch),
                "workspace": str(self.workspace),
                "results": str(self.results),
                "remote": str(folder / "remote"),
            },
            "hosts": hosts,
            **sections(self.program, folder / "beam_file.txt", format="raw", histories_per_beam=1000),
            "intake": {"rescan_s": 2, "settle_s": 0.5, "still_s": 2, "patience_s": 20, "no_dose_still_s": 2},
            "resources": {"desk": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1, "calls_per_minute": 100_000},
            "retry": {"first_s": 0.5, "cap_s": 5, "probe_s": 3},
            "breaker": {"open_s": 1, "open_cap_s": 5},
            "judgement": {"gamma": {"per_beam": False, "dose_percent": 20, "distance_mm": 1}},
            "monitoring": {"metrics_port": 0},
        }
        for section, values in changes.items():
            self.settings[section] = {**self.settings.get(section, {}), **values}
        self.config.write_text(yaml.safe_dump(self.settings))
        self.process: subprocess.Popen[bytes] | None = None

    def behave(self, **setting: Any) -> None:
        """How the engine behaves from now on."""
        file = self.folder / "engine" / "engine.json"
        known = (
            json.loads(file.read_text())
            if file.exists()
            else {
                "witness": str(self.witness),
                "hold": str(self.hold),
            }
        )
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(known | setting))
        aside.rename(file)

    def drop(self, *numbers: int) -> None:
        """Put cases into the watched folder."""
        for number in numbers:
            write_case(self.watch, number)
            self.cases.append(number)

    def start(self) -> subprocess.Popen[bytes]:
        """The communicator, logging into a file."""
        words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(self.config))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        return self.process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, kindly or not."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(60)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The store, read with nothing of the product."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(query, values).fetchall()

    def ended(self) -> int:
        """How many cases have ended."""
        with suppress(sqlite3.Error):
            query = "select count(*) from lines where beam = 0 and status in ('done', 'failed', 'cancelled')"
            return int(self.ask(query)[0][0])
        return 0

    def until_ended(self, count: int, seconds: float) -> bool:
        """Whether so many cases ended in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ended() >= count:
                return True
            time.sleep(0.5)
        return False

    def mqi(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """The CLI, to its end."""
        argv = [sys.executable, "-m", "mqi_communicator", *words, "--config", str(self.config)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)

    def audit(self) -> Audit:
        """What an independent look finds."""
        return audit(self.cases, self.results, self.witness, self.store)

    def end_strays(self) -> None:
        """Jobs outlive what started them; a failed test must not leave any."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str((folder / "cwd").readlink()).startswith(str(self.folder)) and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), signal.SIGKILL)
