"""The port to a host: send requests, upload a folder, fetch files. All faults are defined in case.faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mqi_communicator.case.request import RemoteRequest, RemoteResponse

OnLine = Callable[[str], None]  # called with each verified line of a response as it arrives


class Host(Protocol):
    """One host. Every call has a deadline in seconds and kills its whole process group when the deadline passes.

    A call raises Unreachable, TookTooLong, KeyRejected, HostKeyProblem, DiskFull or RemoteUnfit; it never hangs.
    """

    name: str

    async def request(
        self, request: RemoteRequest, *, deadline: float, on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Run one verb of the script on the host. A non-zero exit code is a response, not a fault.

        `on_line` receives lines as they arrive, while the verb still runs; each ends with the mark of this request.
        """
        ...

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Make the staging folder of the case `key` in the workspace `root` equal to the local folder `source` (rsync,
        resumable, deletes other files). The receiver holds the staging lock throughout."""
        ...

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Fetch the files `names` (relative paths) of the run folder of `token` into the local folder `target`.

        Files of more than `largest` bytes are skipped without an error: the caller checks what arrived.
        """
        ...

    async def close(self) -> None:
        """End every process that this object started."""
        ...
