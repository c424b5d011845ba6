"""Faults, classified once, where they occur.

A fault has a `reason` (what happened) and `advice` (what to do), in terms that a medical physicist understands.
Neither may name a patient: both reach logs and screens.
"""

from __future__ import annotations

import errno


class Fault(Exception):  # noqa: N818 - the term of the field
    """An operation failed; the class decides what happens next."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice

    def __reduce__(self) -> tuple[type[Fault], tuple[object, ...]]:
        """Support pickling, to cross a process boundary."""
        return type(self), (self.reason, self.advice)


class Transient(Fault):
    """May pass: retried with backoff, up to a number of tries."""


class Permanent(Fault):
    """Will not pass: the work item fails, with a reason and advice."""


class CpuTimeExceeded(Permanent):
    """A task in a worker process exceeded its limit of processor time."""


class ActionRequired(Fault):
    """An operator must act; the work item waits and is retried now and then until the cause is gone."""


class AtLimit(Fault):
    """A limit of the site delays this. Retried when the limit allows it; no try is counted."""

    def __init__(self, reason: str, advice: str = "", retry_in: float = 1.0) -> None:
        super().__init__(reason, advice)
        self.retry_in = retry_in  # seconds

    def __reduce__(self) -> tuple[type[Fault], tuple[object, ...]]:
        """Support pickling, to cross a process boundary."""
        return type(self), (self.reason, self.advice, self.retry_in)


class Unreachable(Transient):
    """The host did not answer or the connection broke. What it did meanwhile is unknown."""


class TookTooLong(Unreachable):
    """A remote call passed its deadline and its process group was killed."""


class KeyRejected(ActionRequired):
    """The host rejected the SSH key (expired, removed, wrong user)."""


class HostKeyProblem(ActionRequired):
    """The host key is unknown or has changed. Never accepted silently."""


class DiskFull(ActionRequired):
    """No space, inodes or quota left on this machine or the host; the item continues once there is space."""


class RemoteUnfit(ActionRequired):
    """The host lacks a requirement (rsync, the engine, a writable workspace) or its shell prints extra output."""


class AbsurdAnswer(RemoteUnfit):
    """The host's answer is too long or invalid. The host is at fault, not the case."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_BARRED = (errno.EROFS, errno.EACCES, errno.EPERM)


def local_disk_fault(error: OSError) -> ActionRequired | None:
    """The fault for an OSError on a local disk that no nearer code has explained; None for others."""
    if error.errno in _FULL:
        return DiskFull("no space left on this machine", "free space on the disk of paths.workspace")
    if error.errno in _BARRED:
        reason = f"a file of the communicator cannot be written on this machine: {error.strerror}"
        return ActionRequired(
            reason, "check that paths.workspace is mounted and that the communicator's user may write there"
        )
    return None
