"""Writes the files of a report: beside results that are not delivered yet, or again in delivered ones."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.manifest import results_locked, verified_manifest
from mqi_communicator.flow.tasks.report_files import NAMES, temporary
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.results.documents import MANIFEST, ManifestDocument, OutputDocument, as_json
from mqi_communicator.system.durable import new_file, sync_folder


def redraw(spool: Spool, delivered: Path, build: Callable[[ManifestDocument], Mapping[str, bytes]]) -> None:
    """Write the report of delivered results again, and update their manifest. `build` makes its files from the manifest
    without them.

    Permanent if the results are signed, or do not match their manifest; DiskFull.
    """
    with results_locked(spool):
        if signed := signatures_of(delivered):
            raise Permanent(f"the results are signed: {signed[-1].headline}", "a signed version is locked")
        manifest = verified_manifest(delivered, but=NAMES)
        old = manifest.model_copy(update={"outputs": tuple(o for o in manifest.outputs if o.name not in NAMES)})
        made = build(old)
        write_report(delivered, made)
        new = old.model_copy(
            update={"outputs": tuple(sorted((*old.outputs, *_outputs(made)), key=lambda file: file.name))}
        )
        write_report(delivered, {MANIFEST: as_json(new)})
        if (spool.results / MANIFEST).is_file():  # the prepared results remain equal to the delivered ones
            write_report(spool.results, made)
            write_report(spool.results, {MANIFEST: as_json(new)})


def _outputs(made: Mapping[str, bytes]) -> list[OutputDocument]:
    return [
        OutputDocument(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in made.items()
    ]


def write_report(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file in one rename. DiskFull."""
    with disk_full():
        for name, data in files.items():
            _write_whole(folder / name, data)


@contextlib.contextmanager
def disk_full() -> Iterator[None]:
    """DiskFull for any OSError within."""
    try:
        yield
    except OSError as error:
        raise DiskFull(
            f"the report cannot be written: {error.strerror}", "check its disk and its permissions"
        ) from None


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file in one rename, synced to disk before it appears. An incomplete file is removed."""
    part = temporary(path)
    try:
        with new_file(part, 0o640) as file:
            file.write(data)
        part.rename(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
