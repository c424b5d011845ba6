"""upload: the engine's input goes to the host, is verified there, and appears in its place by one rename."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from mqi_communicator.case.faults import DiskFull
from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.admit import load_manifest
from mqi_communicator.remote import stage
from mqi_communicator.store import lines

CALL_S = 30.0
SLOWEST = 200e3  # bytes per s: a transfer slower than this is given up and resumed
DIGEST = 50e6  # bytes per s that sha256sum manages at the very least
GIB = 1 << 30


async def upload(line: Line, tools: Tools) -> Outcome:
    """`cases/<key>/input/` on the host has every digest of our SHA256SUMS, and each beam has a line of its own."""
    source = tools.spool(line.case).input
    sums, size = await asyncio.to_thread(_weigh, source)
    sent = await _send(line.case, source, sums, size, tools)
    manifest = await asyncio.to_thread(load_manifest, tools.spool(line.case).manifest)
    now = tools.clock()
    for number, _name in manifest.beams:
        await tools.database.write(lines.begin, Line(line.case, number, "submit", due=now, since=now))
    return Done({"sent_bytes": size if sent else 0, "input": sums})


def _weigh(folder: Path) -> tuple[str, int]:
    sums = hashlib.sha256((folder / stage.SUMS).read_bytes()).hexdigest()
    return sums, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def _send(key: str, source: Path, sums: str, size: int, tools: Tools) -> bool:
    """Whether anything had to be sent."""
    host, root = tools.host, tools.remote
    stage.read_workspace(await host.run(stage.workspace(root), deadline=CALL_S))
    if stage.read_settled(await host.run(stage.settled(root, key, sums), deadline=CALL_S)):
        return False
    _room(stage.read_space(await host.run(stage.space(root), deadline=CALL_S)), size, tools)
    target, lock = stage.staging_folder(root, key), stage.staging_lock(root, key)
    await host.send(source, target, lock=lock, deadline=120 + size / SLOWEST)
    stage.read_settle(await host.run(stage.settle(root, key, sums), deadline=60 + size / DIGEST))
    return True


def _room(space: stage.Space, size: int, tools: Tools) -> None:
    spare = tools.resources.remote_free_gib
    advice = f"make space on the disk of {tools.remote} on {tools.host.name}"
    if space.free_bytes - size < spare * GIB:
        raise DiskFull(
            f"the case needs {size / GIB:.2f} GiB on {tools.host.name}, {space.free_bytes / GIB:.1f} GiB are free, and "
            f"{spare:g} GiB must stay free (resources.remote_free_gib)",
            advice,
        )
    if space.free_inodes is not None and space.free_inodes < 1000:  # noqa: PLR2004 - a case needs a few dozen
        raise DiskFull(f"{tools.host.name} has {space.free_inodes} inodes left", advice)
