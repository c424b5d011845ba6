"""Delivers results: a complete folder appears in the results folder by one atomic rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired, DiskFull, Permanent, Transient
from mqi_communicator.system.durable import sync_folder

_MANIFEST = "manifest.json"
# Added to delivered results by signing; the signatures contain the digests of the manifest and of the signed reports.
_SIGNED = ("signature.json", "signature-2.json", "report-signed.pdf", "report-signed-2.pdf")
_ADDED = frozenset({*_SIGNED, *(f".{name}.part" for name in _SIGNED)})  # .part: left by an interrupted signing
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CHUNK = 1 << 20  # bytes
_RETRY = "compare the case again: mqi retry"
CHANGED = "run mqi retry to compare the case again; the disk of paths.workspace may be failing"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BARRED = {errno.EROFS, errno.EACCES, errno.EPERM}


def deliver(prepared: Path, results: Path, key: str, name: str = "", verify: Callable[[], None] = lambda: None) -> Path:
    """Copy the folder `prepared` to `results/<name>` (default: the key) by one rename; return it.

    `prepared` holds `manifest.json`, whose `case` must be `key` and whose `outputs` must be exactly the other files,
    with their digests, so that nothing else is delivered. `verify` raises if `results` is not the folder it should be;
    it is called before anything is written and before the rename. Delivering again does nothing if the same manifest
    and files are there. Files are readable by owner and group at most, less if the umask says so.

    Permanent if other results are there or `prepared` does not match its manifest; DiskFull; ActionRequired if
    the results folder is missing or not writable; Transient for other errors of the file system.
    """
    wanted = _declared(prepared, key)
    name = name or key
    if not _KEY.fullmatch(name):
        raise Permanent("this is not a valid name of a results folder", "deliver under the case's own key")
    final = results / name
    with _classified_errors(results):
        verify()
        if not results.is_dir():
            raise ActionRequired("the results folder does not exist", "create paths.results, or mount its share")
        if _already_delivered(final, wanted):
            sync_folder(results)  # perhaps a delivery was interrupted just before
            return final
        part = results / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            _copy(prepared, part, wanted)
            verify()
            _rename(part, final, wanted)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync_folder(results)
    return final


def delivered_results(results: Path, key: str, name: str = "") -> tuple[Path, Mapping[str, object], str] | None:
    """The delivered results of a case under a name (default: the key): folder, manifest, SHA-256 of the manifest; None
    if there are none.

    Permanent if the folder does not match its manifest.
    """
    final = results / (name or key)
    with _classified_errors(results):
        if not final.is_dir():
            return None
        _already_delivered(final, _declared(final, key, _ADDED))
        text = (final / _MANIFEST).read_bytes()
    return final, json.loads(text), hashlib.sha256(text).hexdigest()


def _declared(prepared: Path, key: str, besides: frozenset[str] = frozenset()) -> dict[str, str]:
    """Digest by relative name of everything that is to be delivered. Permanent if there are other files, except
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
        raise Permanent(f"the prepared results are of case {case}, not of {key}", _RETRY)
    digests[_MANIFEST] = hashlib.sha256(text).hexdigest()
    found = _listed(prepared) - besides
    if differing := sorted(found ^ set(digests)):
        raise Permanent(
            f"the prepared results and their manifest differ in {len(differing)} file(s): {differing[0]}", _RETRY
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
            raise Permanent(f"{path.relative_to(folder)} is not a regular file", _RETRY)
        found.add(str(path.relative_to(folder)))
    return found


def _already_delivered(final: Path, wanted: dict[str, str]) -> bool:
    """Whether these results are delivered already. Permanent, with both digests, if others are."""
    if not os.path.lexists(final):
        return False
    ours = wanted[_MANIFEST]
    theirs = _digest(final / _MANIFEST) if (final / _MANIFEST).is_file() else "no manifest"
    if theirs != ours:
        raise Permanent(
            f"the results folder already has other results under {final.name}: manifest {theirs}, expected {ours}",
            "if the folder is not needed, move it away, then mqi retry",
        )
    for name, digest in wanted.items():
        path = final / name
        if not path.is_file() or _digest(path) != digest:
            raise Permanent(
                f"the results delivered under {final.name} were modified: {name}",
                "if the folder is not needed, move it away, then mqi retry",
            )
    return True


def _copy(prepared: Path, part: Path, wanted: dict[str, str]) -> None:
    """Copy to the temporary folder, with fsync, and verify the digests of the copies."""
    part.mkdir(mode=0o750)
    folders = {part}
    for name, digest in sorted(wanted.items()):
        target = part / name
        for folder in reversed(target.relative_to(part).parents[:-1]):
            (part / folder).mkdir(mode=0o750, exist_ok=True)
            folders.add(part / folder)
        if (found := _copy_file(prepared / name, target)) != digest:
            raise Permanent(
                f"the result {name} has digest {found[:16]}… now and had {digest[:16]}… when it was made", CHANGED
            )
    for folder in sorted(folders, reverse=True):
        sync_folder(folder)


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
    """Rename; this is when results appear. An existing folder is compared, never overwritten."""
    try:
        part.rename(final)
    except OSError as fault:
        if fault.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
            raise
        _already_delivered(final, wanted)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _classified_errors(results: Path) -> Iterator[None]:
    """Turn OSError into faults. The path of the results folder may be shown, it contains no patient data."""
    try:
        yield
    except OSError as fault:
        what = os.strerror(fault.errno) if fault.errno else type(fault).__name__
        if fault.errno in _FULL:
            raise DiskFull(f"the results folder is full ({what})", f"free space in {results}") from None
        if fault.errno in _BARRED:
            raise ActionRequired(
                f"the results folder cannot be written ({what})",
                f"give the communicator's account write permission in {results}",
            ) from None
        raise Transient(f"access to the results folder failed ({what})", f"check the disk of {results}") from None
