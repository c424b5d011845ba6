"""One multiplexed OpenSSH connection to a host, opened on demand and verified before use.

The master runs `cat` on the host, fed by a pipe from this process. When this process dies, for whatever reason, the
pipe closes, `cat` ends, and the master exits with its last session. Clients never fall back to a connection of their
own: their ProxyCommand does not exist, and its name on stderr proves that the command was not started.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

from mqi_communicator.case.faults import Fault, HostKeyProblem, KeyRejected, RemoteUnfit, Unreachable
from mqi_communicator.case.private_file import exposure
from mqi_communicator.remote.classify import ssh_fault
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.remote.process import drain, end_group, read_tail, start
from mqi_communicator.remote.verbs import edition

SESSIONS = 4  # by default sshd refuses the 11th, and it frees a session only after we have seen its end
_READY = b"mqi-ready\n"
_NOT_BEGUN = "/mqi-not-begun"  # a program that does not exist
_CLIENT = ("ssh", "-F", "/dev/null", "-T", "-o", "LogLevel=ERROR", "-o", f"ProxyCommand={_NOT_BEGUN}")


class Connection:
    """One master and the client command that uses it. `slots` admits SESSIONS users at once."""

    def __init__(self, options: SshOptions, socket: Path, addresses: tuple[str, ...]) -> None:
        self.slots = asyncio.Semaphore(SESSIONS)
        self.client = (*_CLIENT, "-S", str(socket))
        self._options = options
        self._socket = socket
        self._addresses = addresses
        self._master: Process | None = None
        self._stderr: asyncio.Task[str] | None = None
        self._opening: asyncio.Task[Process] | None = None

    async def ready(self) -> Process:
        """Return the master once the host has answered. Concurrent callers share one attempt and its fault.

        Unreachable if the connection is closed meanwhile.
        """
        if self._master is not None and self._master.returncode is None:
            return self._master
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        await asyncio.wait({opening})  # unlike `await opening`, its cancellation is not the caller's
        if opening.cancelled():
            raise Unreachable(f"the connection to {self._options.name} was closed")
        return opening.result()

    async def drop(self, useless: Process) -> None:
        """End this master unless it was replaced already; the next `ready` opens a new one."""
        if self._master is useless:
            await self._drop()

    async def _drop(self) -> None:
        master, self._master = self._master, None
        stderr, self._stderr = self._stderr, None
        if master is not None:
            await _end(master, stderr)
        self._socket.unlink(missing_ok=True)

    async def close(self) -> None:
        """End the master and any attempt to open one."""
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError, Fault):
                await self._opening
        await self._drop()

    async def broken(self, err: str) -> Fault:
        """Return why a command did not finish. The master's stderr says more than the client's."""
        master, stderr = self._master, self._stderr
        words = ""
        if master is not None and stderr is not None and master.returncode is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    words = await asyncio.shield(stderr)
        fault = ssh_fault(f"{words}\n{err}", self._options.name)
        return Unreachable(fault.reason) if isinstance(fault, KeyRejected | HostKeyProblem) else fault

    def _opened(self, task: asyncio.Task[Process]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # retrieved here because no caller may be waiting any more

    async def _open(self) -> Process:
        check_key(self._options)
        await self._drop()
        *others, last = self._addresses
        for address in others:
            try:
                return await self._open_at(address)
            except Unreachable:  # try the next login node; the fault of the last one is reported
                continue
        return await self._open_at(last)

    async def _open_at(self, address: str) -> Process:
        master = await start(master_command(self._options, self._socket, address))
        stderr = asyncio.create_task(read_tail(master))
        try:
            async with asyncio.timeout(2 * self._options.connect_timeout_s):
                output = await _read_until_ready(master)
        except TimeoutError:
            await _end(master, stderr)
            raise Unreachable(f"{self._options.name} does not answer") from None
        except BaseException:
            await _end(master, stderr)
            raise
        if output != _READY:
            await _end(master, stderr)
            raise _no_connection(output, stderr.result(), self._options.name)
        self._master, self._stderr = master, stderr
        return master


async def _read_until_ready(master: Process) -> bytes:
    """The host's output up to our mark, or to its end."""
    assert master.stdout is not None  # noqa: S101 - piped in start()
    try:
        return await master.stdout.readuntil(_READY)
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError:
        return b"more than 64 kB of text"


async def _end(master: Process, stderr: asyncio.Task[str] | None) -> None:
    await end_group(master)
    await drain(master)
    if stderr is not None:
        await asyncio.gather(stderr, return_exceptions=True)


def _no_connection(output: bytes, err: str, name: str) -> Fault:
    if output.strip():
        text = output.replace(_READY, b"").decode("utf-8", "replace").strip().splitlines()
        return RemoteUnfit(
            f"the login shell of {name} prints text: {text[0][:80] if text else ''}",
            "Make ~/.bashrc there print nothing in non-interactive shells; check that the account may run commands.",
        )
    return ssh_fault(err, name)


def not_begun(err: str) -> bool:
    """Whether a client's stderr proves that its command was never started."""
    return _NOT_BEGUN in err


def refused(err: str) -> bool:
    """Whether the master is alive and the host refused another session."""
    return "refused" in err and "Control socket connect" not in err


def check_key(options: SshOptions) -> None:
    """KeyRejected or HostKeyProblem for files that ssh would not use, in better words than its own."""
    key = options.identity_file
    if key is not None:
        if not os.access(key, os.R_OK):
            raise KeyRejected(
                f"the private key for {options.name} is missing or not readable",
                "Check identity_file and that the communicator's user can read it.",
            )
        if found := exposure(f"host {options.name}: the private key", key, key.stat(), os.geteuid()):
            raise KeyRejected(*found)
    known = options.known_hosts_file
    if known is not None and not os.access(known, os.R_OK):
        raise HostKeyProblem(
            f"the known_hosts file for {options.name} is missing or not readable",
            "Get the host's public key from its administrator and write it to that file.",
        )


def master_command(options: SshOptions, socket: Path, address: str) -> tuple[str, ...]:
    """The command line of a master. Jump hosts and algorithms of the site's ssh configuration stay in effect."""
    settings = {
        "IgnoreUnknown": "ForkAfterAuthentication,StdinNull",  # unknown before OpenSSH 8.7
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ConnectTimeout": options.connect_timeout_s,
        "ConnectionAttempts": 1,
        "ServerAliveInterval": options.alive_interval_s,
        "ServerAliveCountMax": options.alive_count,
        "TCPKeepAlive": "yes",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
        "ForkAfterAuthentication": "no",
        "StdinNull": "no",
        "ControlPersist": "no",
        "LogLevel": "ERROR",
    }
    words = ["ssh"]
    if options.config_file is not None:
        words += ["-F", str(options.config_file)]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    if options.known_hosts_file is not None:
        words += [
            "-o",
            f"UserKnownHostsFile={_quoted(options.known_hosts_file)}",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ]
    if options.identity_file is not None:
        words += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={_quoted(options.identity_file)}"]
    if options.port is not None:
        words += ["-p", str(options.port)]
    if options.user is not None:
        words += ["-l", options.user]
    hold = f"mqi-host hold {edition()}" if options.script == "installed" else "exec sh -c 'echo mqi-ready; exec cat'"
    return (*words, "-M", "-S", str(socket), "-T", address, hold)


def _quoted(path: Path) -> str:
    return '"' + str(path.absolute()).replace("%", "%%") + '"'
