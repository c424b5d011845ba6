"""Checks of the configured folders. They create none: it would belong to whoever gave the command."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import tempfile
from pathlib import Path

from mqi_communicator.checks.finding import Finding, failed, passed
from mqi_communicator.config import Config
from mqi_communicator.delivery.marker import ResultsMarker
from mqi_communicator.store.database import NETWORK_FILE_SYSTEMS, file_system_of

GIB = 1 << 30
_PRIVATE, _SHARED = "0700", "0750"


def watch_folder(config: Config) -> Finding:
    """Whether the watched folder can be read."""
    folder = config.paths.watch
    if not folder.exists():
        return _missing("paths.watch", folder, _SHARED, "mount its share, or create it")
    if not folder.is_dir():
        return failed(f"paths.watch {folder} is not a folder", "correct the path")
    if not os.access(folder, os.R_OK | os.X_OK):
        return failed(f"paths.watch {folder} is not readable", "give this account read permission")
    return passed(f"paths.watch {folder} is readable")


def deliveries_folder(config: Config) -> Finding | None:
    """Whether the folder of deliveries can be read; None if there is none."""
    folder = config.paths.deliveries
    if folder is None:
        return None
    if not folder.is_dir():
        return _missing("paths.deliveries", folder, _SHARED, "mount its share, or create it")
    if not os.access(folder, os.R_OK | os.X_OK):
        return failed(f"paths.deliveries {folder} is not readable", "give this account read permission")
    return passed(f"paths.deliveries {folder} is readable")


def workspace_folder(config: Config) -> Finding:
    """Whether the communicator can write its workspace. Root can write those of others: that says nothing."""
    folder = config.paths.workspace
    if folder.is_dir() and os.geteuid() == 0 and (owner := folder.stat().st_uid) != 0:
        name = _name_of(owner)
        return failed(
            f"paths.workspace {folder} belongs to {name}, and root may do what {name} may not",
            f"run the checks as that account: sudo -u {name} ...",
        )
    return _writable("paths.workspace", folder, _PRIVATE)


def results_folder(config: Config) -> Finding:
    """Whether the results folder can be written, and is the one that results were delivered to."""
    marker = ResultsMarker(config.paths.results, config.paths.results_id)
    if fault := marker.problem():
        return failed(f"paths.results {config.paths.results}: {fault.reason}", fault.advice)
    return _writable("paths.results", config.paths.results, _SHARED)


def local_disk(config: Config) -> Finding:
    """Whether the store is where its locks are reliable."""
    kind = file_system_of(config.paths.workspace)
    if kind in NETWORK_FILE_SYSTEMS:
        return failed(f"paths.workspace is on a network file system ({kind})", "move it to a local disk")
    return passed(f"paths.workspace is on a local disk ({kind})")


def free_space(config: Config) -> Finding:
    """Whether the disk of the workspace, or of the folder in which it will be, has enough space."""
    folder = next(path for path in (config.paths.workspace, *config.paths.workspace.parents) if path.is_dir())
    free, wanted = shutil.disk_usage(folder).free / GIB, config.resources.local_free_gib
    what = f"{free:.1f} GiB are free on the disk of paths.workspace, {wanted:g} GiB must remain free"
    return Finding(free > wanted, what, "free space, or lower resources.local_free_gib")


def _writable(name: str, folder: Path, mode: str) -> Finding:
    if not folder.exists():
        return _missing(name, folder, mode, "correct the path, or create it")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-"):
            pass
    except OSError as error:
        return failed(f"{name} {folder} is not writable: {error.strerror}", "correct the path or its permissions")
    return passed(f"{name} {folder} is writable")


def _missing(name: str, folder: Path, mode: str, advice: str) -> Finding:
    """The advice is a command that may be given as it is; root has to enter the account of the communicator."""
    user = "USER" if os.geteuid() == 0 else _name_of(os.geteuid())
    command = shlex.join(["install", "-d", "-o", user, "-m", mode, str(folder)])
    return failed(f"{name} {folder} does not exist", f"{advice}: {command}")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
