"""The communicator runs on the computing machine itself."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.case.faults import Unreachable
from mqi_communicator.remote.classify import rsync_fault
from mqi_communicator.remote.frame import frame
from mqi_communicator.remote.host import Finished
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.process import Children, within
from mqi_communicator.remote.rsync import fetch_command, names_to_fetch, send_command


class LocalHost:
    """A Host that is this machine: same scripts, same locks, same rsync, no network."""

    def __init__(self, options: LocalOptions) -> None:
        self.name = options.name
        self._options = options
        self._children = Children()

    async def run(self, script: str, *, deadline: float, stdin: bytes = b"") -> Finished:
        """Run POSIX shell text in the folder /, umask 077."""
        framed = frame(script, deadline=deadline, stdin=stdin)
        async with within(deadline, f"a command on {self.name}"):
            ended = await self._children.execute(framed.argv, stdin=framed.payload, cwd="/")
        finished = framed.finished(ended.out, ended.err)
        if finished is None:
            raise Unreachable(f"a command on {self.name} was killed before its end")
        return finished

    async def send(self, source: Path, target: str, *, lock: str, deadline: float) -> None:
        """Make the folder `target` equal to `source`, holding flock on `lock`."""
        argv = send_command(source, target, lock=lock, client=None, stall=self._options.stall_s)
        await self._copy(argv, deadline)

    async def fetch(self, source: str, target: Path, *, names: tuple[str, ...], deadline: float) -> None:
        """Copy the files `names` of the folder `source` into the folder `target`."""
        argv = fetch_command(source, target, client=None, stall=self._options.stall_s)
        await self._copy(argv, deadline, names_to_fetch(names))

    async def close(self) -> None:
        """End what still runs."""
        await self._children.end_all()

    async def _copy(self, argv: tuple[str, ...], deadline: float, stdin: bytes = b"") -> None:
        async with within(deadline, f"a copy on {self.name}"):
            ended = await self._children.execute(argv, stdin=stdin)
        if ended.code != 0:
            raise rsync_fault(ended.code, ended.err, self.name, side=self.name)
