"""The viewer's file in the spool. Its name is its digest; it replaces that of an earlier judgement."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.report.viewer_file import SUFFIX
from mqi_communicator.system.durable import make_folder, new_file, sync_folder

if TYPE_CHECKING:
    from mqi_communicator.report.viewer import ViewerFile


def write_viewer(spool: Spool, made: ViewerFile) -> None:
    """Write the file, durably, and remove all others. OSError if it cannot be written."""
    make_folder(spool.viewer)
    part, digest = spool.viewer / ".part", hashlib.sha256()
    try:
        with new_file(part) as file:
            for piece in made.pieces():
                digest.update(piece)
                file.write(piece)
        final = spool.viewer / f"{digest.hexdigest()}{SUFFIX}"
        part.rename(final)
    finally:
        part.unlink(missing_ok=True)
    for other in spool.viewer.iterdir():
        if other != final:
            other.unlink()
    sync_folder(spool.viewer)


def viewer_digest(spool: Spool) -> str:
    """The digest that the viewer's file has in its name; "" if there is none, or more than one."""
    found = list(spool.viewer.glob(f"*{SUFFIX}")) if spool.viewer.is_dir() else []
    return found[0].stem if len(found) == 1 else ""
