"""The port to a host: ask it something, send a folder, fetch files. All faults come from case.faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mqi_communicator.case.request import RemoteRequest, RemoteResponse

OnLine = Callable[[str], None]  # a whole line of an answer, proved to be ours, at the moment it comes


class Host(Protocol):
    """One host. Every call has a deadline in seconds and kills its whole process group when it passes.

    It raises Unreachable, TookTooLong, KeyRejected, HostKeyProblem, DiskFull or RemoteUnfit; it never hangs.
    """

    name: str

    async def request(
        self, request: RemoteRequest, *, deadline: float, on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Have one verb of the script answered there. A non-zero exit of the verb is an Answer, not a fault.

        `hear` is told lines as they come, while the verb still runs; each ends with the mark of this question.
        """
        ...

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Make the staging folder of the case `key` in the workspace `root` equal to the local folder `source` (rsync,
        resumable, deletes strangers), its receiver holding the staging lock throughout."""
        ...

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Bring the files `names` (relative paths) of the run folder of `token` into the local folder `target`.

        One of more than `largest` bytes stays there, and nothing is said of it: who asked looks whether it came.
        """
        ...

    async def close(self) -> None:
        """End every process this host object started."""
        ...
