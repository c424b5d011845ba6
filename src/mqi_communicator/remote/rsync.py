"""rsync's command lines. Paths are sent over its own protocol (-s), never through a remote shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.remote.classify import LOCK_HELD

PARTIAL = ".rsync-partial"  # where rsync keeps a partial file; an upload with such a folder is not complete

# The receiver holds the lock and its children inherit it: an orphan keeps the lock for as long as it writes.
# On a file system without locks flock exits with another code than 75, and there is nothing to wait for.
_LOCKED = (
    'umask 077; exec 9>>"$0" || exit 11; flock -n -E 75 9; '
    f'case $? in 75) echo {LOCK_HELD} >&2; exit 75 ;; 127) exit 127 ;; esac; exec nice rsync "$@"'
)
_COMMON = ("rsync", "-rt", "-p", "--chmod=D0700,F0600", f"--partial-dir={PARTIAL}")


@dataclass(frozen=True, slots=True)
class Transport:
    """How rsync reaches the host: the remote shell's command (empty: this machine) and the limits of a transfer.

    `installed`: the remote end is the script installed on the host, which determines the folder itself.
    """

    client: tuple[str, ...] = ()
    installed: bool = False
    stall_s: int = 60
    bandwidth_kib_s: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """The program and the options of every transfer. With -s paths are sent over rsync's own protocol."""
        protect = () if self.installed else ("-s",)
        bandwidth = (f"--bwlimit={self.bandwidth_kib_s}",) if self.bandwidth_kib_s else ()
        via = ("-e", " ".join(self.client)) if self.client else ()
        return (*_COMMON, *protect, f"--timeout={self.stall_s}", *bandwidth, *via)


def send_command(source: Path, root: str, key: str, transport: Transport) -> tuple[str, ...]:
    """Make the staging folder of a case equal to the local folder `source`, under its lock."""
    stage, here = f"{_absolute(root)}/staging/{key}", f"{source.absolute()}/"
    lock = f"{stage}.lock"
    if not transport.client:  # a local copy ignores --rsync-path: all of it runs under the lock
        return ("sh", "-c", _LOCKED, lock, *transport.options[1:], "--delete", here, f"{stage}/")
    receiver = f"sh -c {shlex.quote(_LOCKED)} {shlex.quote(lock)}"
    if transport.installed:
        receiver = f"mqi-host receive {_absolute(root)} {key}"
    return (*transport.options, f"--rsync-path={receiver}", "--delete", here, f"there:{stage}/")


# Limits the size of a file while it is copied, whatever size the host announced: writing more fails (EFBIG).
# `ulimit -f` counts blocks of 512 bytes (POSIX).
_BOUNDED = 'trap "" XFSZ; ulimit -f "$0" && exec "$@"'
_BLOCK = 512


def fetch_command(root: str, token: str, target: Path, transport: Transport, largest: int) -> tuple[str, ...]:
    """Fetch files of a run's folder; their names are read from stdin, each terminated by NUL.

    Files are compared even if size and time are the same (-I). Files of more than `largest` bytes are skipped, and no
    local file grows beyond that size.
    """
    run = f"{_absolute(root)}/cases/{token.partition('-')[0]}/runs/{token}/"
    where = f"there:{run}" if transport.client else run
    far = (f"--rsync-path=mqi-host provide {_absolute(root)} {token}",) if transport.installed else ()
    rsync = (
        *transport.options,
        *far,
        "-I",
        f"--max-size={largest}",
        "--from0",
        "--files-from=-",
        where,
        f"{target.absolute()}/",
    )
    return ("sh", "-c", _BOUNDED, str(-(-largest // _BLOCK)), *rsync)


def names_to_fetch(names: Sequence[str]) -> bytes:
    """The stdin of `fetch_command`. ValueError for a name that is absolute or leads out of the folder."""
    for name in names:
        if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise ValueError(f"not a relative path inside the folder: {name!r}")
    return b"".join(name.encode() + b"\0" for name in names)


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"a path on a host must be absolute: {path!r}")
    return path.rstrip("/") or "/"
