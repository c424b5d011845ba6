"""The limits of this process and of all that it starts."""

from __future__ import annotations

import os
import resource

MOST_DESCRIPTORS = 65536


def set_limits() -> None:
    """Files for this account alone, no core dumps, and as many file descriptors as permitted, up to 65536."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(soft, hard), hard))


def descriptors(soft: int, hard: int) -> int:
    """The soft limit of file descriptors to set, given both limits. It is never lowered."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS))
