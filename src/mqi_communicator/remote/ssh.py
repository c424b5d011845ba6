"""A host over the system's own OpenSSH: one connection for commands, one for transfers."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mqi_communicator.case.faults import RemoteUnfit, Unreachable
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.remote.classify import rsync_fault
from mqi_communicator.remote.envelope import Envelope, frame_request, frame_script
from mqi_communicator.remote.host import OnLine
from mqi_communicator.remote.mux import Connection, not_begun, refused
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.remote.process import Children, Completed, within
from mqi_communicator.remote.rsync import Transport, fetch_command, names_to_fetch, send_command
from mqi_communicator.remote.verbs import script

_ATTEMPTS = 6  # to start a command; the pause is 20 ms and doubles each time
_SOCKET_PATH_BYTES = 108 - 17 - 1  # limit of a unix socket's path, less what ssh appends while creating it, less NUL


class SshHost:
    """A Host over SSH. Commands and transfers use separate connections, so that a poll never waits for a transfer.

    A deadline covers connecting, waiting for one of the four sessions of a connection, and the work itself.
    """

    def __init__(self, options: SshOptions) -> None:
        self.name = options.name
        self._options = options
        self._children = Children()
        self._folder: Path | None = None
        self._connections: dict[str, Connection] = {}
        self._closed = False

    async def request(
        self, request: RemoteRequest, *, deadline: float, on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Run a verb of the script. An abandoned one is ended on the host."""
        if self._options.script == "installed":
            return await self._execute(frame_request(request, deadline=deadline), deadline, on_line)
        return await self.run(script(request), deadline=deadline, stdin=request.stdin, on_line=on_line)

    async def run(
        self, text: str, *, deadline: float, stdin: bytes = b"", on_line: OnLine | None = None
    ) -> RemoteResponse:
        """Run POSIX shell text in the account's home folder, umask 077."""
        return await self._execute(frame_script(text, deadline=deadline, stdin=stdin), deadline, on_line)

    async def _execute(self, envelope: Envelope, deadline: float, on_line: OnLine | None) -> RemoteResponse:
        async with within(deadline, f"a command on {self.name}"):
            connection = self._connection("c")
            words = (*connection.client, self._options.host, envelope.remote_command)
            completed = await self._run_client(
                connection, words, envelope.payload, on_line=envelope.verified_lines(on_line)
            )
            response = envelope.response(completed.out, completed.err)
            if response is None:
                raise await connection.broken(completed.err)
            return response

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Make the case's staging folder equal to the local folder `source`; an interrupted upload is resumed.

        Transient if another receiver holds its lock; RemoteUnfit if the folder above it is missing.
        """
        connection = self._connection("b")
        argv = send_command(source, root, key, self._transport(connection))
        await self._transfer(connection, argv, deadline)

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Fetch files of a run's folder into the local folder `target`; an interrupted transfer is resumed.

        Transient if a file does not exist. Files of more than `largest` bytes are skipped without an error;
        AbsurdAnswer if one exceeds that size while it is copied.
        """
        connection = self._connection("b")
        argv = fetch_command(root, token, target, self._transport(connection), largest)
        await self._transfer(connection, argv, deadline, stdin=names_to_fetch(names), largest=largest)

    async def close(self) -> None:
        """End the connections and every process started by this object, which cannot be used again."""
        self._closed = True
        for connection in self._connections.values():
            await connection.close()
        await self._children.end_all()
        if self._folder is not None:
            with suppress(OSError):
                self._folder.rmdir()

    async def _transfer(
        self, connection: Connection, argv: tuple[str, ...], deadline: float, stdin: bytes = b"", largest: int = 0
    ) -> None:
        async with within(deadline, f"a transfer with {self.name}"):
            completed = await self._run_client(connection, argv, stdin)
        if completed.code != 0:
            side = "this machine" if largest else self.name
            raise rsync_fault(completed.code, completed.err, self.name, side=side, largest=largest)

    async def _run_client(
        self,
        connection: Connection,
        argv: tuple[str, ...],
        stdin: bytes,
        *,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a client once. It is retried only if its command was provably not started."""
        for attempt in range(_ATTEMPTS):
            if self._closed:
                raise Unreachable(f"the connection to {self.name} was closed")
            master = await connection.ready()
            async with connection.slots:
                completed = await self._children.execute(argv, stdin=stdin, on_line=on_line)
            if not not_begun(completed.err):
                return completed
            if not refused(completed.err):
                await connection.drop(master)
            await asyncio.sleep(0.02 * 2**attempt)
        raise RemoteUnfit(
            f"{self.name} refuses multiple sessions on one connection",
            "Set MaxSessions to 10 (the default) or more in the host's sshd_config.",
        )

    def _connection(self, kind: str) -> Connection:
        if self._folder is None:
            self._folder = _private_folder()
        if kind not in self._connections:
            login = (self._options.host, *self._options.fallback)
            through = (self._options.transfer_host,) if kind == "b" and self._options.transfer_host else login
            self._connections[kind] = Connection(self._options, self._folder / kind, through)
        return self._connections[kind]

    def _transport(self, connection: Connection) -> Transport:
        options = self._options
        return Transport(connection.client, options.script == "installed", options.stall_s, options.bandwidth_kib_s)


def _private_folder() -> Path:
    """Create a folder of mode 0700 with a short path for control sockets; remove empty ones of dead processes."""
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp is 0700
        plain = base.startswith("/") and base.replace("/", "").replace("-", "").replace("_", "").isalnum()
        if plain and os.access(base, os.W_OK) and len(base) < _SOCKET_PATH_BYTES - 30:
            _sweep(Path(base))
            return Path(tempfile.mkdtemp(prefix=f"mqi-{os.getpid()}-", dir=base))
    raise RemoteUnfit("no local folder is suitable for ssh's control sockets", "Make /tmp writable.")


def _sweep(base: Path) -> None:
    for folder in base.glob("mqi-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                folder.rmdir()  # fails unless it is empty and ours
