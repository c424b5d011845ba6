"""The script that runs on a host, assembled from its parts. It is also the wrapper of each job."""

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
    """Every verb, as POSIX shell text that only defines functions."""
    return _text().replace(_EDITION, edition())


@cache
def edition() -> str:
    """Identifies this version of the script; an installed script must have the same edition."""
    return hashlib.sha256(_text().encode()).hexdigest()[:12]


def _text() -> str:
    here = files(__package__)
    parts = [(here / f"{name}.sh").read_text(encoding="utf-8") for name in PARTS]
    return "#!/bin/sh\n" + "\n".join(parts)


def script(request: RemoteRequest) -> str:
    """Shell text that runs one request; with `--job SPEC` it is a job's wrapper instead."""
    return f"{library()}\ndo_verb {' '.join((request.verb, *request.arguments))}\n"
