"""Faults, sorted once, where they are met.

A fault says what happened (`reason`) and what a person can do (`advice`), in words a medical physicist
understands. Neither may name a patient: both reach logs and screens.
"""

from __future__ import annotations

import errno


class Fault(Exception):  # noqa: N818 - the ward's word
    """Something went wrong in one effect; the kind decides what happens next."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice

    def __reduce__(self) -> tuple[type[Fault], tuple[object, ...]]:
        """Support pickling, to cross a process boundary."""
        return type(self), (self.reason, self.advice)


class Transient(Fault):
    """May go away by itself: tried again with backoff, up to a cap."""


class Permanent(Fault):
    """Will not go away by itself: the line fails, with a reason and advice."""


class CpuTimeExceeded(Permanent):
    """Work at the desk took more processor time than it may."""


class ActionRequired(Fault):
    """Somebody must act; the line waits, says so, and probes now and then until the cause is gone."""


class AtLimit(Fault):
    """Nothing is wrong: a limit of the site holds this back. Tried again when it may, and no try is counted."""

    def __init__(self, reason: str, advice: str = "", retry_in: float = 1.0) -> None:
        super().__init__(reason, advice)
        self.retry_in = retry_in  # seconds

    def __reduce__(self) -> tuple[type[Fault], tuple[object, ...]]:
        """Support pickling, to cross a process boundary."""
        return type(self), (self.reason, self.advice, self.retry_in)


class Unreachable(Transient):
    """The host did not answer or the connection broke. Nothing is known of what it did meanwhile."""


class TookTooLong(Unreachable):
    """A remote call passed its deadline and its process group was killed."""


class KeyRejected(ActionRequired):
    """The host refused our key (expired, removed, wrong user)."""


class HostKeyProblem(ActionRequired):
    """The host key is unknown or has changed. Never accepted silently."""


class DiskFull(ActionRequired):
    """No space, no inodes or no quota left, here or there; goes on when there is space again."""


class RemoteUnfit(ActionRequired):
    """The host lacks something we need (rsync, the engine, a writable workspace) or its shell is not clean."""


class AbsurdAnswer(RemoteUnfit):
    """The host answered with what no host of ours says: too much, or numbers that are none. Its fault, no case's."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_BARRED = (errno.EROFS, errno.EACCES, errno.EPERM)


def local_disk_fault(error: OSError) -> ActionRequired | None:
    """What the system refused on a disk of ours, where nobody nearer has said more; None if it is something else."""
    if error.errno in _FULL:
        return DiskFull("no space left on this machine", "free space on the disk of paths.workspace")
    if error.errno in _BARRED:
        words = f"a file of the communicator cannot be written on this machine: {error.strerror}"
        return ActionRequired(
            words, "check that paths.workspace is mounted and that the communicator's user may write there"
        )
    return None
