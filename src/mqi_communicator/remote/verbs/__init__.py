"""The script that a host is asked with: its parts, put together. Some of it is the job's own wrapper."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from mqi_communicator.case.request import RemoteRequest

PARTS = (
    "base", "grammar", "order", "process", "workspace", "transfer", "job", "look", "direct", "gpus", "slurm", "host",
    "main",
)  # fmt: skip

_EDITION = "@EDITION@"


@cache
def library() -> str:
    """Every verb, as POSIX shell text. It does nothing by itself."""
    return _text().replace(_EDITION, edition())


@cache
def edition() -> str:
    """Which script this is: one that an administrator installed must be the same."""
    return hashlib.sha256(_text().encode()).hexdigest()[:12]


def _text() -> str:
    here = files(__package__)
    parts = [(here / f"{name}.sh").read_text(encoding="utf-8") for name in PARTS]
    return "#!/bin/sh\n" + "\n".join(parts)


def script(request: RemoteRequest) -> str:
    """Shell text that answers one call; run with `--job SPEC` it is a job's wrapper instead."""
    return f"{library()}\ndo_verb {' '.join((request.verb, *request.words))}\n"
