"""rsync's command lines. Paths travel over its own channel (-s), never through a remote shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mqi_communicator.remote.classify import LOCK_HELD

PARTIAL = ".rsync-partial"  # where rsync keeps the begun part of a file; an upload with such a folder is not settled

# The receiver runs under the lock, and its children inherit it: an orphan keeps the lock for as long as it writes.
_LOCKED = f'umask 077; flock -n -E 75 "$0" rsync "$@"; c=$?; if [ $c = 75 ]; then echo {LOCK_HELD} >&2; fi; exit $c'
_COMMON = ("rsync", "-s", "-rt", "-p", "--chmod=D0700,F0600", f"--partial-dir={PARTIAL}")


def send_command(
    source: Path, target: str, *, lock: str, client: Sequence[str] | None, stall: int, bandwidth: int = 0
) -> tuple[str, ...]:
    """Make `target` equal to the local folder `source`. `client` is the remote shell's command; None: this machine."""
    there = _absolute(target)
    receiver = f"sh -c {shlex.quote(_LOCKED)} {shlex.quote(_absolute(lock))}"
    where = f"there:{there}/" if client else f"{there}/"
    pace = _pace(stall, bandwidth)
    if not client:  # a local copy asks no --rsync-path: the whole of it runs under the lock
        return ("sh", "-c", _LOCKED, lock, *_COMMON[1:], *pace, "--delete", f"{source.absolute()}/", where)
    return (*_COMMON, *pace, *_via(client), f"--rsync-path={receiver}", "--delete", f"{source.absolute()}/", where)


def fetch_command(
    source: str, target: Path, *, client: Sequence[str] | None, stall: int, bandwidth: int = 0
) -> tuple[str, ...]:
    """Bring files of the folder `source` here; their names are read from stdin, each ended by a NUL.

    A file that looks the same by size and time is compared all the same (-I).
    """
    there = _absolute(source)
    where = f"there:{there}/" if client else f"{there}/"
    via = _via(client) if client else ()
    return (*_COMMON, *_pace(stall, bandwidth), *via, "-I", "--from0", "--files-from=-", where, f"{target.absolute()}/")


def names_to_fetch(names: Sequence[str]) -> bytes:
    """What `fetch_command` reads. ValueError for a name that is absolute or leads out of the folder."""
    for name in names:
        if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise ValueError(f"not a file below the folder: {name!r}")
    return b"".join(name.encode() + b"\0" for name in names)


def _pace(stall: int, bandwidth: int) -> tuple[str, ...]:
    return (f"--timeout={stall}", *((f"--bwlimit={bandwidth}",) if bandwidth else ()))


def _via(client: Sequence[str]) -> tuple[str, str]:
    return ("-e", " ".join(client))


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"a path on a host is absolute: {path!r}")
    return path.rstrip("/") or "/"
