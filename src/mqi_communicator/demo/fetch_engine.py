"""Fetches the MCsquare dose engine into a folder.

MCsquare (Souris, Lee and Sterpin, Med. Phys. 43, 2016) comes inside the public package opentps-core. The package is
downloaded with pip, verified by its digest, and only the engine, its materials, the generic beam model and the example
scanner curve are kept.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired

PACKAGE = "opentps-core==3.0.0"  # 3.0.1 came without the engine's data files
WHEEL = "opentps_core-3.0.0-py3-none-any.whl"
WHEEL_SHA256 = "b9d9443bbf2af14affeff9ce1791d88a7822a40dfe98816d988e729b5712f93f"
INSIDE = "opentps/core/processing/doseCalculation/protons/MCsquare/"
KEPT = ("MCsquare_linux", "Materials/", "BDL/", "Scanners/")
# With CRLF line ends in the beam model every primary misses the patient, and the engine exits 0.
LINE_ENDS = ("BDL/", "Scanners/")
MARKER = "SHA256SUMS"
README = f"""MCsquare, a Monte Carlo dose engine for protons (K. Souris, J. A. Lee, E. Sterpin, Med. Phys. 43, 2016).

Fetched by MQI Communicator from the package {PACKAGE}
(file {WHEEL}, sha256 {WHEEL_SHA256}),
folder {INSIDE}.
Kept: {", ".join(KEPT)}. Text files of BDL/ and Scanners/ were given LF line ends; nothing else was changed.

It was fetched for use here and is not redistributed with MQI Communicator. The package declares Apache-2.0; the
engine's own licence notice is not part of it: ask its authors before you redistribute this folder.
The beam models in BDL/ and the curve in Scanners/ are examples. No dose of theirs may judge a real machine.
{MARKER} lists every file's sha256.
"""


def ensure_engine(target: Path, wheel: Path | None = None) -> bool:
    """Fetch the engine unless it is there with all its digests; return whether it was fetched. `wheel` is a local copy
    of its package, for a machine without a network.

    `target` is complete or absent afterwards. ActionRequired, with what to do, if it cannot be fetched.
    """
    target = target.absolute()
    if is_complete(target):
        return False
    try:
        _fetch(target, wheel)
    except OSError as error:
        raise ActionRequired(f"{target} cannot be written: {error.strerror}", "correct the path") from error
    return True


def download(folder: Path) -> Path:
    """Download the package of the engine with the pip of this Python, from its configured index; return the file, whose
    digest is the pinned one. ActionRequired if that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
    # The package requires Python 3.12; none of its code is run.
    command += ["--only-binary=:all:", "--python-version", "3.12", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        error = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise ActionRequired(
            f"pip cannot download {PACKAGE}: {error}",
            f"make the package index reachable (network, proxy, pip's configuration), or copy {WHEEL} to this machine "
            "and name it with --wheel",
        )
    return _verified(folder / WHEEL)


def is_complete(target: Path) -> bool:
    """Whether the marker exists and every file that it lists has the listed digest."""
    marker = target / MARKER
    if not marker.is_file():
        return False
    lines = [line.split("  ", 1) for line in marker.read_text().splitlines() if line]
    files = [(target / parts[-1], parts[0]) for parts in lines]
    return bool(files) and all(path.is_file() and sha256(path) == digest for path, digest in files)


def _fetch(target: Path, wheel: Path | None) -> None:
    """Download, verify, unpack and rename into place."""
    if target.exists() and not (target / MARKER).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ActionRequired(f"{target} exists and is not a fetched engine", "name a new or empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        new = Path(scratch) / "new"
        _unpack(_verified(wheel) if wheel else download(Path(scratch)), new)
        if target.exists():
            target.rename(Path(scratch) / "old")
        new.rename(target)


def _verified(wheel: Path) -> Path:
    """Return the path if the file's digest is the pinned one."""
    if not wheel.is_file():
        raise ActionRequired(f"{wheel} does not exist", f"name a copy of {WHEEL}")
    if (found := sha256(wheel)) != WHEEL_SHA256:
        raise ActionRequired(
            f"{wheel.name} has sha256 {found}, expected {WHEEL_SHA256}", "it is damaged or replaced: get it again"
        )
    return wheel


def _unpack(wheel: Path, home: Path) -> None:
    """Write the selected files, the README and, last, the marker to `home`."""
    sums = []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            kept = name.removeprefix(INSIDE)
            if (
                kept == name
                or name.endswith(("/", ".py"))
                or not kept.startswith(KEPT)
                or kept.startswith("MCsquare_linux_")
            ):
                continue
            data = archive.read(name)
            if kept.startswith(LINE_ENDS):
                data = data.replace(b"\r\n", b"\n")
            path = home / kept
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            sums.append(f"{hashlib.sha256(data).hexdigest()}  {kept}\n")
    (home / "MCsquare_linux").chmod(0o755)
    (home / "README").write_text(README)
    (home / MARKER).write_text("".join(sums))


def sha256(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
