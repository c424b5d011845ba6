"""How a stand-in for moqui behaves: settings of its environment (TPS_ENV_...), or of the file beside its program."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_KINDS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "float": float,
    "int": int,
    "bool": lambda word: word not in ("", "0"),
}
FAULTS = {
    "save-crash": "dies of SIGSEGV while it saves, when everything has been computed",
    "early-crash": "dies of SIGSEGV before it computes anything",
    "killed": "is killed while it computes",
    "terminated": "gets SIGTERM while it computes",
    "zero": "has no histories and writes a dose of zero",
    "short": "writes a part of the dose and says nothing",
    "empty": "writes an empty file",
    "disk-full": "writes a part of the dose, says so and exits 0",
    "unwritable": "cannot open its file, says so and exits 0",
    "no-product": "exits 0 without a file",
    "no-end": "exits 0 without its end mark",
    "cuda": "finds no driver",
    "cuda-memory": "finds no memory on the GPU",
    "no-free-gpu": "finds no free GPU",
    "hang": "never ends",
    "nan": "writes a dose with a voxel that is no number",
    "negative": "writes a negative dose",
    "wrong-grid": "writes a dose whose axes are changed about",
    "wrong-origin": "writes a dose with another origin",
    "out-of-bound": "complains of an energy outside its table and exits 0",
    "other-spots": "computes more histories than requested",
    "seed-blind": "does not heed its seed",
    "dcm-unsaved": "cannot save its DICOM dose, says so and exits 0",
    "dcm-coarse": "saves a DICOM dose of a few steps",
}


@dataclass(frozen=True)
class Settings:
    """One run's."""

    flavour: str = "upstream"  # upstream, fork or clinic
    fault: str = ""  # one of FAULTS
    fault_runs: int = 0  # only in so many first runs; 0: always
    seconds: float = 0.0  # wall time that it takes at least
    noise: float = 10.0  # relative noise where dose is highest is noise / sqrt(histories)
    witness: str = ""  # file to which each run's start and end are appended
    needs_gpu: bool = False  # whether it refuses to work without CUDA_VISIBLE_DEVICES
    log_bytes: int = 4_090  # what a run says, about; builds for GPUs say more
    offset: str = "centre"  # what an .mhd of upstream says of the first voxel: centre or edge


def settings() -> Settings:
    """What this run's environment says, else the file that TPS_ENV_SETTINGS names."""
    beside = Path(os.environ.get("TPS_ENV_SETTINGS", "/nowhere"))
    values: dict[str, Any] = json.loads(beside.read_text()) if beside.is_file() else {}
    for one in fields(Settings):
        if (word := os.environ.get(f"TPS_ENV_{one.name.upper()}")) is not None:
            values[one.name] = _KINDS[str(one.type)](word)
    found = Settings(**values)
    if found.fault and found.fault not in FAULTS:
        raise SystemExit(f"no such fault: {found.fault}; there are: {', '.join(FAULTS)}")
    if found.fault and found.fault_runs and _count(beside) > found.fault_runs:
        return Settings(**{**values, "fault": ""})
    return found


def _count(beside: Path) -> int:
    """Which run of this program it is, from 1."""
    counter = beside.with_suffix(".count")
    with counter.open("a") as file:
        file.write("x")
    return counter.stat().st_size


def witness(path: str, what: str) -> None:
    """Append one line: what, when, who, and which GPUs."""
    if not path:
        return
    gpus, token = os.environ.get("CUDA_VISIBLE_DEVICES", "none"), os.environ.get("MQI_TOKEN", "none")
    line = f"{what} {time.time():.3f} pid={os.getpid()} token={token} gpus={gpus}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)
