"""Examines a folder of what machines recorded, and copies it to the spool: treatment records, and folders of logs.

Other files in it are left out. Nothing is judged here: whether a record belongs to a plan is seen when it is joined.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.problem import DicomProblem, printable
from mqi_communicator.dicom.treatment_record import is_treatment_record
from mqi_communicator.intake.examination import Complete, Examination, Incomplete, Part, Rejected
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.scan import FileEntry, FolderScan, scan_folder
from mqi_communicator.intake.spooling import MANIFEST, content_of, copy_part, spool_faults, write_manifest
from mqi_communicator.treatment.sumitomo.folder import PLAN_INFO, PLAN_RANGE, read_plan_range

_READ = "Give the communicator's account read permission."


def examine_delivery(folder: Path, options: IntakeOptions, *, still_for: float) -> Examination:
    """Find the records and logs below a folder that has been unchanged for `still_for` seconds."""
    scan = scan_folder(folder, options.max_files)
    if scan.too_many or scan.bytes > options.max_case_bytes:
        limits = f"{options.max_files} files (intake.max_files) or {options.max_case_bytes} bytes (max_case_bytes)"
        return Rejected(f"the folder has more than {limits}", "Put fewer deliveries into a folder.", "case.too_large")
    unread = [f"{printable(one.name)} {one.why}" for one in scan.skipped if one.unreadable]
    unread += [f"{printable(one.name)} is still being copied" for one in scan.files if one.partial]
    parts, damaged = _parts(folder, scan)
    missing = [*unread, *damaged, *_missing_logs(folder, parts)]
    if missing and still_for < options.patience_s:
        return Incomplete(tuple(missing), retry_in_s=options.patience_s - still_for)
    if missing:
        advice = f"Copy the folder again. {_READ}"
        return Rejected("; ".join(missing), advice, "delivery.unreadable")
    if not parts:
        overdue = still_for >= options.patience_s
        return Incomplete(("no treatment record and no log of a delivery has arrived yet",), overdue=overdue)
    members = {part.name for part in parts}
    return Complete(tuple(parts), tuple(one.name for one in scan.files if one.name not in members))


def _parts(folder: Path, scan: FolderScan) -> tuple[list[Part], list[str]]:
    """The files of all deliveries, and what cannot be read and may be one."""
    logs = {_above(one.name) for one in scan.files if _base(one.name) in (PLAN_INFO, PLAN_RANGE)}
    parts, damaged = [], []
    for one in scan.files:
        if one.partial:
            continue
        if _above(one.name) in logs:
            parts.append(_part(one, ""))
            continue
        try:
            if is_treatment_record(folder / one.name) and (header := read_header(folder / one.name)):
                parts.append(_part(one, header.sop_instance_uid))
        except DicomProblem as problem:
            damaged.append(problem.reason)
        except OSError as error:
            damaged.append(f"{printable(one.name)} cannot be read: {error.strerror}")
    return parts, damaged


def _missing_logs(folder: Path, parts: list[Part]) -> Iterator[str]:
    """The files that the tables of logs name and that are not there yet."""
    here = {part.name for part in parts}
    for above in sorted({_above(part.name) for part in parts if not part.sop_instance_uid}):
        for name in (PLAN_INFO, PLAN_RANGE):
            if f"{above}{name}" not in here:
                yield f"{printable(above + name)} is missing"
        for row in read_plan_range(folder / above, lambda _code, _found: None, {}):
            for name in (row.log, row.planned):
                if f"{above}{name}" not in here:
                    yield f"{printable(above + name)} is missing"


def _above(name: str) -> str:
    head, slash, _ = name.rpartition("/")
    return head + slash


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _part(seen: FileEntry, uid: str) -> Part:
    return Part(seen.name, Kind.OTHER, uid, seen.size, seen.mtime_ns)


def copy_delivery(folder: Path, spool_case_dir: Path, examination: Complete) -> Manifest:
    """Copy records and folders of logs to `spool_case_dir`, and return the manifest. Faults as `copy_to_spool`.

    A folder of logs keeps its name if it is a number, since that must be the time of the delivery.
    """
    manifest = spool_case_dir / MANIFEST
    with spool_faults():
        if manifest.exists():
            return load_manifest(manifest)
        shutil.rmtree(spool_case_dir, ignore_errors=True)
        spool_case_dir.mkdir(mode=0o700, parents=True)
        files = tuple(_copied(folder, spool_case_dir, examination.parts))
        admitted = Manifest(content=content_of(files), lineage="", beams=(), files=files)
        write_manifest(manifest, admitted)
    return admitted


def _copied(folder: Path, target: Path, parts: tuple[Part, ...]) -> Iterator[StoredFile]:
    logs: dict[str, str] = {}
    for number, part in enumerate(parts, start=1):
        stored = f"{number:04d}.dcm"
        if not part.sop_instance_uid:
            above = _above(part.name)
            name = _base(above.rstrip("/")) or folder.name
            below = logs.setdefault(above, f"{number:04d}.logs/{name if name.isdigit() else 'log'}")
            (target / below).mkdir(mode=0o700, parents=True, exist_ok=True)
            stored = f"{below}/{_base(part.name)}"
        copied = copy_part(folder, part, target / stored, f"file {number} of {len(parts)}")
        yield StoredFile(stored, copied.sha256, copied.size, copied.kind, copied.sop_instance_uid, copied.original)
