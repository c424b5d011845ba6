"""The communicator runs on the computing machine itself."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.case.faults import Unreachable
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.remote.classify import rsync_fault
from mqi_communicator.remote.envelope import frame
from mqi_communicator.remote.host import Hear
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.process import Children, within
from mqi_communicator.remote.rsync import Way, fetch_command, names_to_fetch, send_command
from mqi_communicator.remote.verbs import script


class LocalHost:
    """A Host that is this machine: same script, same locks, same rsync, no network."""

    def __init__(self, options: LocalOptions) -> None:
        self.name = options.name
        self._way = Way(stall_s=options.stall_s)
        self._children = Children()

    async def ask(self, call: RemoteRequest, *, deadline: float, hear: Hear | None = None) -> RemoteResponse:
        """Have a verb answered."""
        return await self.run(script(call), deadline=deadline, stdin=call.stdin, hear=hear)

    async def run(self, text: str, *, deadline: float, stdin: bytes = b"", hear: Hear | None = None) -> RemoteResponse:
        """Run POSIX shell text in the folder /, umask 077."""
        framed = frame(text, deadline=deadline, stdin=stdin)
        async with within(deadline, f"a command on {self.name}"):
            ended = await self._children.execute(framed.argv, stdin=framed.payload, cwd="/", hear=framed.ear(hear))
        finished = framed.finished(ended.out, ended.err)
        if finished is None:
            raise Unreachable(f"a command on {self.name} was killed before its end")
        return finished

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Make the case's staging folder equal to `source`, under its lock."""
        await self._copy(send_command(source, root, key, self._way), deadline)

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Copy the files `names` of the run's folder into `target`, as far as they have `largest` bytes or fewer."""
        await self._copy(
            fetch_command(root, token, target, self._way, largest), deadline, names_to_fetch(names), largest
        )

    async def close(self) -> None:
        """End what still runs."""
        await self._children.end_all()

    async def _copy(self, argv: tuple[str, ...], deadline: float, stdin: bytes = b"", largest: int = 0) -> None:
        async with within(deadline, f"a copy on {self.name}"):
            ended = await self._children.execute(argv, stdin=stdin)
        if ended.code != 0:
            raise rsync_fault(ended.code, ended.err, self.name, side=self.name, largest=largest)
