"""Cost of verified transfers: the product's upload, and rsync followed by sha256sum on both sides."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.environment import ssh_words

from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote import workspace
from mqi_communicator.remote.ssh import SshHost

LIMIT_S = 600.0


def random_folder(folder: Path, *, files: int, size: int) -> int:
    """Write `files` files of `size` random bytes; returns how many bytes there are in all."""
    for number in range(files):
        path = folder / f"part-{number % 4}" / f"{number:03d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    os.sync()
    return files * size


def product(source: Path, root: Path, host: PrivateHost) -> float:
    """Seconds to upload the folder, verified and in place, including the local digests."""
    return asyncio.run(_product(source, root, host))


async def _product(source: Path, root: Path, host: PrivateHost) -> float:
    there, key = SshHost(host.options()), "bench"
    try:
        workspace.read_workspace(await there.request(workspace.workspace(str(root)), deadline=LIMIT_S))
        began = time.perf_counter()
        digest = await asyncio.to_thread(_sums, source)
        await there.send(source, str(root), key, deadline=LIMIT_S)
        workspace.read_settle(await there.request(workspace.settle(str(root), key, digest), deadline=LIMIT_S))
        return time.perf_counter() - began
    finally:
        await there.close()
        (source / workspace.SUMS).unlink(missing_ok=True)
        shutil.rmtree(root)


def _sums(folder: Path) -> str:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as handle:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(handle, "sha256").hexdigest()
    text = workspace.sums_text(digests)
    (folder / workspace.SUMS).write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def script(source: Path, root: Path, host: PrivateHost) -> float:
    """Seconds of the same by hand, over an open connection."""
    root.mkdir()
    with tempfile.TemporaryDirectory(prefix="mqi-bench-") as sockets:
        ssh = ssh_words(host, Path(sockets) / "s")
        subprocess.run((*ssh, "127.0.0.1", "true"), check=True, timeout=60)
        words = ("sh", str(Path(__file__).with_name("bare_transfer.sh")), " ".join(ssh), str(source))
        began = time.perf_counter()
        subprocess.run((*words, str(root / "in")), check=True, timeout=LIMIT_S)
        took = time.perf_counter() - began
        subprocess.run((*ssh, "-O", "exit", "127.0.0.1"), check=True, timeout=60, capture_output=True)
    shutil.rmtree(root)
    return took
