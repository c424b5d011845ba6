"""The port to a host: run a command there, send a folder, fetch a folder. All faults come from case.faults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Finished:
    """A remote command that ran to its end."""

    exit_code: int
    out: str
    err: str


class Host(Protocol):
    """One host. Every call has a deadline in seconds and kills its whole process group when it passes.

    It raises Unreachable, TookTooLong, KeyRefused, HostKeyProblem, DiskFull or RemoteUnfit; it never hangs.
    """

    name: str

    async def run(self, script: str, *, deadline: float, stdin: bytes = b"") -> Finished:
        """Run POSIX shell text there. A non-zero exit of the script itself is a Finished, not a fault."""
        ...

    async def send(self, source: Path, target: str, *, lock: str, deadline: float) -> None:
        """Make the remote folder `target` equal to the local folder `source` (rsync, resumable, deletes strangers),
        its receiver holding flock on the remote file `lock` throughout."""
        ...

    async def fetch(self, source: str, target: Path, *, names: tuple[str, ...], deadline: float) -> None:
        """Bring the files `names` (relative paths) of the remote folder `source` into the local folder `target`."""
        ...

    async def close(self) -> None:
        """End every process this host object started."""
        ...
