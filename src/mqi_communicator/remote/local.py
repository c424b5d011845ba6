"""The host is the machine on which the communicator runs."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.case.faults import Unreachable
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.remote.classify import rsync_fault
from mqi_communicator.remote.envelope import frame_script
from mqi_communicator.remote.host import OnLine
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.process import Children, within
from mqi_communicator.remote.rsync import Transport, fetch_command, names_to_fetch, send_command
from mqi_communicator.remote.verbs import script


class LocalHost:
    """A Host that is this machine: same script, same locks, same rsync, no network."""

    def __init__(self, options: LocalOptions) -> None:
        self.name = options.name
        self._transport = Transport(stall_s=options.stall_s)
        self._children = Children()

    async def request(
        self, request: RemoteRequest, *, deadline: float, on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Run a verb of the script."""
        return await self.run(script(request), deadline=deadline, stdin=request.stdin, on_line=on_line)

    async def run(
        self, text: str, *, deadline: float, stdin: bytes = b"", on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Run POSIX shell text in the folder /, umask 077."""
        envelope = frame_script(text, deadline=deadline, stdin=stdin)
        async with within(deadline, f"a command on {self.name}"):
            completed = await self._children.execute(
                envelope.argv, stdin=envelope.payload, cwd="/", on_line=envelope.verified_lines(on_line)
            )
        response = envelope.response(completed.out, completed.err)
        if response is None:
            raise Unreachable(f"a command on {self.name} was killed before it finished")
        return response

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Make the case's staging folder equal to `source`, under its lock."""
        await self._copy(send_command(source, root, key, self._transport), deadline)

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Copy the files `names` of the run's folder into `target`, except those of more than `largest` bytes."""
        await self._copy(
            fetch_command(root, token, target, self._transport, largest), deadline, names_to_fetch(names), largest
        )

    async def close(self) -> None:
        """End every process that still runs."""
        await self._children.end_all()

    async def _copy(self, argv: tuple[str, ...], deadline: float, stdin: bytes = b"", largest: int = 0) -> None:
        async with within(deadline, f"a copy on {self.name}"):
            completed = await self._children.execute(argv, stdin=stdin)
        if completed.code != 0:
            raise rsync_fault(completed.code, completed.err, self.name, side=self.name, largest=largest)
