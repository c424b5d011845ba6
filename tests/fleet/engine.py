#!/usr/bin/env python3
"""A stand-in moqui that costs nothing: it sleeps, and its dose says which case and which beam it is of.

It reads its input file and the first voxel of the CT as moqui would, and writes a raw dose of the right size: 1
everywhere, 2 in the voxel whose number is the case's, 3 in the voxel 4000 + the beam's. Nothing but the standard
library is loaded. Its settings lie in `engine.json`: "seconds" to take, "witness" to append to, "hold" (no run ends
while that file is there), "fault" to make.
"""

import array
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MOST = 3000  # numbers of cases (cases.MOST)


def main() -> None:
    setting = json.loads((Path(os.environ.get("FLEET_SETTINGS", HERE / "engine.json"))).read_text())
    asked = dict(line.split(" ", 1) for line in Path(sys.argv[1]).read_text().splitlines())
    token = os.environ.get("MQI_TOKEN", "none")
    dicom = Path(asked["ParentDir"]) / asked.get("DicomDir", "") if "ParentDir" in asked else Path(asked["DicomDir"])
    voxels, histories = output(Path(sys.argv[1]).with_name("asked.txt"))
    slices = sorted(dicom.glob("CT.*.dcm"))
    number = first_voxel(slices[0], voxels // len(slices))
    beam = int(asked["BeamNumbers"])
    if noisy := not 1 <= number <= MOST:  # a case with air around it, which the physics of another stand-in computes
        number = MOST + 1 + zlib.crc32(token.partition("-")[0].encode())
    model = hashlib.sha256(Path(asked["Machine"].partition(":")[2]).read_bytes()).hexdigest()[:12]
    witness(setting, "start", token, number, beam, model)
    fault = fault_for(setting, token)
    if not noisy:
        print("histories", histories, flush=True)
    misbehave(fault)
    while Path(setting["hold"]).exists():
        time.sleep(0.1)
    if noisy:
        code = subprocess.call((setting["physics"], *sys.argv[1:]))
        witness(setting, "end", token, number, beam, model)
        sys.exit(code)
    for part in range(1, 6):
        time.sleep(setting.get("seconds", 1.0) / 5 / int(setting.get("runs", 2)))
        print("cum_vertiex", histories * part // 5, histories // 5, flush=True)
    print(f"cum vertex {histories} total histories {histories}\nNumber of particles tracked {histories}", flush=True)
    save(Path(asked["OutputDir"]), number, beam, voxels, int(asked["RandomSeed"]), fault)
    print("Reshape and save done 0.000100 s\nTime taken by MC engine: 1.5 milli-seconds", flush=True)
    witness(setting, "end", token, number, beam, model)


def output(file: Path) -> tuple[int, int]:
    """Voxels and histories that the job was told to expect."""
    words = dict(word.split("=") for word in file.read_text().split()[1:])
    return int(words["voxels"]), int(words["histories"])


def first_voxel(file: Path, pixels: int) -> int:
    """The first of the 16 bit pixels, which are the end of the file."""
    with file.open("rb") as handle:
        handle.seek(-2 * pixels, os.SEEK_END)
        return int.from_bytes(handle.read(2), "little", signed=True)


def save(folder: Path, number: int, beam: int, voxels: int, seed: int, fault: str) -> None:
    """The dose, written at the end and not atomically, as moqui does."""
    folder.mkdir()
    level = 1.0 + (seed % 97) / 1e6  # two seeds give two doses
    values = array.array("d", [level]) * voxels
    values[number], values[4000 + beam] = 2 * level, 3 * level
    if fault == "wrong":
        values[number] = level
    data = values.tobytes()
    if fault == "short":
        data = data[: len(data) // 2]
    (folder / f"beam_{beam}_0_Dose.raw").write_bytes(data)
    if fault == "save-crash":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)


def fault_for(setting: dict[str, Any], token: str) -> str:
    """The fault that is planned for this token, if any."""
    return str(setting.get("faults", {}).get(token, setting.get("fault", "")))


def misbehave(fault: str) -> None:
    if fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)
    if fault == "fork" and os.fork() == 0:
        os.setsid()
        time.sleep(3600)
        os._exit(0)
    if fault == "fill":
        with Path("filler").open("wb") as filler:
            while True:
                filler.write(b"\0" * (1 << 20))
    if fault == "crash":
        sys.exit(3)


def witness(setting: dict[str, Any], what: str, token: str, number: int, beam: int, model: str) -> None:
    """One line, in one write: what began or ended, of which job, on which GPUs, with which process and beam model."""
    if path := setting.get("witness"):
        node = os.environ.get("SLURMD_NODENAME", "")  # each node calls its GPUs 0, 1, ...
        named = (name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name)
        gpus = ",".join(f"{node}:{name}" if node else name for name in named)
        line = (
            f"{what} {time.time():.3f} {token} case={number} beam={beam} gpus={gpus} pid={os.getpid()} model={model}\n"
        )
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, line.encode())
        os.close(handle)


if __name__ == "__main__":
    main()
