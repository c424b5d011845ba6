"""A case's results appear in the results folder, whole, by one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired, DiskFull, Permanent, Transient

_MANIFEST = "manifest.json"
_ADDED = frozenset({"signature.json"})  # to delivered results, by a person; it names the manifest's digest itself
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CHUNK = 1 << 20  # bytes
_RETRY = "have the case compared again: mqi retry"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BARRED = {errno.EROFS, errno.EACCES, errno.EPERM}


def deliver(prepared: Path, results: Path, key: str, name: str = "") -> Path:
    """Copy the folder `prepared` to `results/<name>` (the key, if not said), which appears by one rename; return it.

    `prepared` holds `manifest.json`, whose `case` must be `key` and whose `outputs` must be exactly the other files,
    with their digests: nothing strange leaves the house. Delivering again does nothing if the same manifest and files
    are there. Files are readable by owner and group at most, less if the umask says so.

    Permanent if something else stands there or `prepared` is not what its manifest says; DiskFull; ActionRequired if
    the results folder is missing or cannot be written; Transient for other trouble of the file system.
    """
    wanted = _declared(prepared, key)
    name = name or key
    if not _KEY.fullmatch(name):
        raise Permanent("this is no name for a folder of results", "deliver under the case's own key")
    final = results / name
    with _classified_errors(results):
        if not results.is_dir():
            raise ActionRequired("the results folder is not there", "make paths.results, or mount the share it is on")
        if _already_delivered(final, wanted):
            return final
        part = results / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            _copy(prepared, part, wanted)
            _rename(part, final, wanted)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _sync(results)
    return final


def delivered_results(results: Path, key: str, name: str = "") -> tuple[Path, Mapping[str, object], str] | None:
    """What was delivered of this case under a name (the key, if not said): its folder, its manifest, the manifest's
    SHA-256; None if nothing was.

    Permanent if the folder is not what its manifest says.
    """
    final = results / (name or key)
    with _classified_errors(results):
        if not final.is_dir():
            return None
        _already_delivered(final, _declared(final, key, _ADDED))
        text = (final / _MANIFEST).read_bytes()
    return final, json.loads(text), hashlib.sha256(text).hexdigest()


def _declared(prepared: Path, key: str, besides: frozenset[str] = frozenset()) -> dict[str, str]:
    """Digest by relative name of everything that is to be delivered. Permanent unless the files are just these, and
    `besides`."""
    if not _KEY.fullmatch(key):
        raise Permanent("this is not the key of a case", "deliver under the case's own key")
    try:
        text = (prepared / _MANIFEST).read_bytes()
        manifest = json.loads(text)
        case = manifest["case"]
        digests = {str(output["name"]): str(output["sha256"]) for output in manifest["outputs"]}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise Permanent(
            f"the prepared results of case {key} have no readable manifest ({type(fault).__name__})", _RETRY
        ) from None
    if case != key:
        raise Permanent(f"the prepared results say they are of case {case}, not of {key}", _RETRY)
    digests[_MANIFEST] = hashlib.sha256(text).hexdigest()
    found = _listed(prepared) - besides
    if strange := sorted(found ^ set(digests)):
        raise Permanent(
            f"the prepared results and their manifest differ in {len(strange)} file(s): {strange[0]}", _RETRY
        )
    return digests


def _listed(folder: Path) -> set[str]:
    """Relative names of the regular files below a folder. Permanent for links and anything else."""
    found = set()
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise Permanent(f"{path.relative_to(folder)} is not a plain file", _RETRY)
        found.add(str(path.relative_to(folder)))
    return found


def _already_delivered(final: Path, wanted: dict[str, str]) -> bool:
    """Whether the results are there already. Permanent, naming both digests, if others are."""
    if not os.path.lexists(final):
        return False
    ours = wanted[_MANIFEST]
    theirs = _digest(final / _MANIFEST) if (final / _MANIFEST).is_file() else "no manifest"
    if theirs != ours:
        raise Permanent(
            f"other results stand in the results folder under {final.name}: manifest {theirs}, ours is {ours}",
            "move the folder away if it is not wanted, then mqi retry",
        )
    for name, digest in wanted.items():
        path = final / name
        if not path.is_file() or _digest(path) != digest:
            raise Permanent(
                f"the results delivered under {final.name} were changed afterwards: {name}",
                "move the folder away if it is not wanted, then mqi retry",
            )
    return True


def _copy(prepared: Path, part: Path, wanted: dict[str, str]) -> None:
    """Copy to the sibling, on disk before this returns, and digest what was copied."""
    part.mkdir(mode=0o750)
    folders = {part}
    for name, digest in sorted(wanted.items()):
        target = part / name
        for folder in reversed(target.relative_to(part).parents[:-1]):
            (part / folder).mkdir(mode=0o750, exist_ok=True)
            folders.add(part / folder)
        if _copy_file(prepared / name, target) != digest:
            raise Permanent(f"{name} of case {part.name[1:-5]} is not the file its manifest names", _RETRY)
    for folder in sorted(folders, reverse=True):
        _sync(folder)


def _copy_file(source: Path, target: Path) -> str:
    """Copy one file, fsync it, and return the SHA-256 of its content."""
    digest = hashlib.sha256()
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with source.open("rb") as reader, os.fdopen(number, "wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _rename(part: Path, final: Path, wanted: dict[str, str]) -> None:
    """The one moment at which results appear. A folder that came in between is looked at, never overwritten."""
    try:
        part.rename(final)
    except OSError as fault:
        if fault.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
            raise
        _already_delivered(final, wanted)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _classified_errors(results: Path) -> Iterator[None]:
    """Sort what the file system says. The folder's own name is the site's and may be shown."""
    try:
        yield
    except OSError as fault:
        what = os.strerror(fault.errno) if fault.errno else type(fault).__name__
        if fault.errno in _FULL:
            raise DiskFull(f"the results folder is full ({what})", f"make space in {results}") from None
        if fault.errno in _BARRED:
            raise ActionRequired(
                f"the results folder cannot be written ({what})", f"let the communicator's user write in {results}"
            ) from None
        raise Transient(
            f"the results folder did not answer properly ({what})", f"look at the disk of {results}"
        ) from None
