"""Copies a complete case into the private spool, under neutral names, with a digest of every file.

The manifest is written last: if it exists, the whole case was admitted. The original is never written to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Transient
from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.identity import read_identity
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.intake.examination import Complete, Part
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.system.durable import replace_file, sync_folder

MANIFEST = "manifest.json"
_CHUNK = 1 << 20  # bytes
_OF_DICOM = "1.2.840.10008."  # the root of the UIDs that the standard defines
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def copy_to_spool(folder: Path, spool_case_dir: Path, examination: Complete) -> Manifest:
    """Copy the parts of a complete case to `spool_case_dir` (spool/<key>/case) and return its manifest.

    Does nothing if the manifest exists; leftovers of an interrupted copy are replaced. Files are mode 0600, folders
    0700. Transient if a file changed since it was examined: examine again. DiskFull if the spool is full.
    """
    manifest = spool_case_dir / MANIFEST
    with spool_faults():
        if manifest.exists():
            return load_manifest(manifest)
        spool_case_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in spool_case_dir.iterdir():
            leftover.unlink()
        count = len(examination.parts)
        files = tuple(
            copy_part(folder, part, spool_case_dir / f"{number:04d}.dcm", f"file {number} of {count}")
            for number, part in enumerate(examination.parts, start=1)
        )
        admitted = _manifest(files, spool_case_dir, examination.aside)
        write_manifest(manifest, admitted)
    return admitted


@contextlib.contextmanager
def spool_faults() -> Iterator[None]:
    """Raise errors of the system as faults. They name no file, because faults are logged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                "the spool has no space left to copy the case",
                "Free some space; the case then continues automatically.",
            ) from None
        raise Transient(f"the case could not be copied: {error.strerror}") from None


def copy_part(folder: Path, part: Part, target: Path, which: str) -> StoredFile:
    """Copy and hash one file, and check that it is unchanged before and after: Transient if not."""
    digest = hashlib.sha256()
    with _open_inside(folder, part.name) as source:
        _refuse_change(source, part, which)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy:
            while chunk := os.read(source, _CHUNK):
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        _refuse_change(source, part, which)
    if target.stat().st_size != part.size or (part.sop_instance_uid and _uid_of(target) != part.sop_instance_uid):
        raise _changed(which)
    return StoredFile(target.name, digest.hexdigest(), part.size, part.kind, part.sop_instance_uid, part.name)


def _uid_of(path: Path) -> str:
    header = read_header(path)
    return header.sop_instance_uid if header else ""


@contextlib.contextmanager
def _open_inside(folder: Path, name: str) -> Iterator[int]:
    """Open a file below `folder` for reading, following no symbolic link. Yields the descriptor."""
    *above, last = name.split("/")
    here = os.open(folder, _FOLDER)
    try:
        for step in above:
            below = os.open(step, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        file = os.open(last, _FILE, dir_fd=here)
    finally:
        os.close(here)
    try:
        yield file
    finally:
        os.close(file)


def _refuse_change(source: int, part: Part, which: str) -> None:
    state = os.fstat(source)
    if not stat.S_ISREG(state.st_mode) or (state.st_size, state.st_mtime_ns) != (part.size, part.mtime_ns):
        raise _changed(which)


def _changed(which: str) -> Transient:
    return Transient(f"the case changed while it was copied ({which})", "It is examined again from the beginning.")


def _manifest(files: tuple[StoredFile, ...], spool_case_dir: Path, aside: tuple[tuple[str, str], ...]) -> Manifest:
    (plan,) = (file for file in files if file.kind is Kind.PLAN)
    # A UID of the standard itself, which some systems write, identifies no plan: plans of two patients would match.
    instance = plan.sha256 if plan.sop_instance_uid.startswith(_OF_DICOM) else plan.sop_instance_uid
    beams = sound_plan(spool_case_dir / plan.stored).beams
    return Manifest(
        content=content_of(files),
        lineage=lineage_of(instance),
        beams=tuple((beam.number, beam.name) for beam in beams),
        files=files,
        aside=aside,
        identity=dataclasses.replace(
            read_identity(spool_case_dir / plan.stored), machine=beams[0].machine if beams else ""
        ),
    )


def content_of(files: Iterable[StoredFile]) -> str:
    """One SHA-256 over the digests of all files, whatever their names and order are."""
    return hashlib.sha256("\n".join(sorted(file.sha256 for file in files)).encode()).hexdigest()


def lineage_of(plan_uid: str) -> str:
    """What the revisions of a plan share, from its SOPInstanceUID."""
    return hashlib.sha256(plan_uid.encode()).hexdigest()


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest durably, with the name of its folder, so that it is never partial."""
    replace_file(path, json.dumps(dataclasses.asdict(manifest), indent=1))  # ASCII: undecodable names are escaped
    sync_folder(path.parent.parent)
