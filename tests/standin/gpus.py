"""Simulated GPUs: a stand-in nvidia-smi in a folder of programs, and the state that it reports."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any


class FakeGpus:
    """`count` GPUs of `mib` each. `environment` makes a host, or a process, see them."""

    def __init__(self, folder: Path, count: int = 4, mib: int = 8000, *, jobs_mib: int = 0, machine: int = 0) -> None:
        self.machine = machine
        self._file = folder / "gpus.json"
        programs = folder / "gpu-programs"
        programs.mkdir(parents=True, exist_ok=True)
        script = programs / "nvidia-smi"
        words = shlex.join([sys.executable, "-S", str(Path(__file__).with_name("nvidia_smi.py"))])
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
        self.environment = {"FAKE_GPUS": str(self._file), "PATH": f"{programs}:{os.environ['PATH']}"}
        self.state: dict[str, Any] = {
            "mode": "ok",
            "jobs": jobs_mib,
            "gpus": [
                {"index": n, "uuid": self.uuid(n), "total": mib, "used": 0, "percent": 0, "celsius": 30}
                for n in range(count)
            ],
            "apps": [],
        }
        self.save()

    def uuid(self, number: int) -> str:
        """The name of one of them. No two machines have a GPU in common."""
        return f"GPU-5a3f9c10-1b2c-4d5e-{0x8F90 + self.machine:04x}-{number:012x}"

    def say(self, mode: str) -> None:
        """How the driver answers from now on."""
        self.state["mode"] = mode
        self.save()

    def use(self, number: int, mib: int, pid: int = 1) -> None:
        """Another process uses one of them (0 MiB: no longer)."""
        uuid = self.uuid(number)
        self.state["apps"] = [app for app in self.state["apps"] if app["uuid"] != uuid]
        if mib:
            self.state["apps"].append({"uuid": uuid, "pid": pid, "used": mib})
        self.state["gpus"][number]["used"] = mib
        self.save()

    def save(self) -> None:
        """Atomically: the file may be read at the same time."""
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps(self.state))
        aside.rename(self._file)
