"""Fetch the MCsquare dose engine into a folder: `python3 setup/fetch_engine.py TARGET_DIR [--pip PYTHON]`.

MCsquare (Souris, Lee and Sterpin, Med. Phys. 43, 2016) comes inside the public package opentps-core. The package is
downloaded with pip, verified by its digest, and only the engine, its materials, the generic beam model and the example
scanner curve are kept. It may be run again at any time: a complete folder is recognised by its digests and not changed.
Needs Python 3.11 or newer with pip; nothing else.
"""  # noqa: INP001 - a script, run by path

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "opentps-core==3.0.0"  # 3.0.1 came without the engine's data files
WHEEL = "opentps_core-3.0.0-py3-none-any.whl"
WHEEL_SHA256 = "b9d9443bbf2af14affeff9ce1791d88a7822a40dfe98816d988e729b5712f93f"
INSIDE = "opentps/core/processing/doseCalculation/protons/MCsquare/"
KEPT = ("MCsquare_linux", "Materials/", "BDL/", "Scanners/")
# With CRLF line ends in the beam model every primary misses the patient, and the engine exits 0.
LINE_ENDS = ("BDL/", "Scanners/")
MARKER = "SHA256SUMS"
README = f"""MCsquare, a Monte Carlo dose engine for protons (K. Souris, J. A. Lee, E. Sterpin, Med. Phys. 43, 2016).

Fetched by setup/fetch_engine.py from the package {PACKAGE}
(file {WHEEL}, sha256 {WHEEL_SHA256}),
folder {INSIDE}.
Kept: {", ".join(KEPT)}. Text files of BDL/ and Scanners/ were given LF line ends; nothing else was changed.

It was fetched for use here and is not redistributed with MQI Communicator. The package declares Apache-2.0; the
engine's own licence notice is not part of it: ask its authors before you redistribute this folder.
The beam models in BDL/ and the curve in Scanners/ are examples. No dose of theirs may judge a real machine.
{MARKER} lists every file's sha256.
"""


class FetchProblem(Exception):  # noqa: N818 - its text is shown to users
    """Why the engine could not be fetched, and what to do."""


def main(argv: list[str] | None = None) -> int:
    """Fetch the engine unless it exists. Return 0 if it exists now, else 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Fetch the MCsquare dose engine into a folder.")
    parser.add_argument("target", type=Path, help="folder of the engine, created if missing")
    parser.add_argument("--pip", default=sys.executable, metavar="PYTHON", help="a Python that has pip")
    parser.add_argument("--wheel", type=Path, help=f"a local copy of {WHEEL}, for a machine without network")
    parser.add_argument("--only-wheel", action="store_true", help="only download that file into TARGET")
    options = parser.parse_args(argv)
    target = options.target.absolute()
    try:
        if options.only_wheel:
            target.mkdir(parents=True, exist_ok=True)
            verified(download(options.pip, target))
            return 0
        if is_complete(target):
            sys.stdout.write(f"The engine is in {target}; all digests match.\n")
            return 0
        fetch(target, options.pip, options.wheel)
    except FetchProblem as problem:
        sys.stderr.write(f"fetch_engine: {problem}\n")
        return 1
    except OSError as problem:
        sys.stderr.write(f"fetch_engine: {target} could not be written: {problem}\n")
        return 1
    sys.stdout.write(f"The engine was fetched into {target}.\n")
    return 0


def is_complete(target: Path) -> bool:
    """Whether the marker exists and every file that it lists has the listed digest."""
    marker = target / MARKER
    if not marker.is_file():
        return False
    lines = [line.split("  ", 1) for line in marker.read_text().splitlines() if line]
    files = [(target / parts[-1], parts[0]) for parts in lines]
    return bool(files) and all(path.is_file() and sha256(path) == digest for path, digest in files)


def fetch(target: Path, pip: str, wheel: Path | None) -> None:
    """Download, verify, unpack and rename into place: `target` is complete or absent. Raises FetchProblem."""
    if target.exists() and not (target / MARKER).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise FetchProblem(f"{target} exists and was not made by this script: specify an empty or new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        new = Path(scratch) / "new"
        unpack(verified(wheel or download(pip, Path(scratch))), new)
        if target.exists():
            target.rename(Path(scratch) / "old")
        new.rename(target)


def download(pip: str, folder: Path) -> Path:
    """Download the wheel with that Python's pip from its configured package index."""
    command = [pip, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--only-binary=:all:"]
    command += [
        "--python-version",
        "3.12",
        "--dest",
        str(folder),
        PACKAGE,
    ]  # the package requires 3.12; we run none of its code
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as problem:
        raise FetchProblem(
            f"{pip} could not be started ({problem}): name a Python that has pip with --pip"
        ) from problem
    if done.returncode != 0:
        error = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise FetchProblem(
            f"pip could not download {PACKAGE}. Is the package index reachable from here (proxy, network)? "
            f"Or copy {WHEEL} to this machine and name it with --wheel. Error of pip: {error}"
        )
    return folder / WHEEL


def verified(wheel: Path) -> Path:
    """Return the path if its digest is the pinned one; else raise FetchProblem."""
    if not wheel.is_file():
        raise FetchProblem(f"{wheel} does not exist")
    found = sha256(wheel)
    if found != WHEEL_SHA256:
        raise FetchProblem(f"{wheel.name} has sha256 {found}, expected {WHEEL_SHA256}: damaged or replaced, not used")
    return wheel


def unpack(wheel: Path, home: Path) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
