"""The script that a host is asked with: its parts, put together. Some of it is the job's own wrapper."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from mqi_communicator.case.call import Call

PARTS = ("base", "process", "workspace", "transfer", "job", "look", "direct", "gpus", "slurm", "host", "main")

_EDITION = "@EDITION@"


@cache
def library() -> str:
    """Every verb, as POSIX shell text. It does nothing by itself."""
    here = files(__package__)
    parts = [(here / f"{name}.sh").read_text(encoding="utf-8") for name in PARTS]
    text = "#!/bin/sh\n" + "\n".join(parts)
    return text.replace(_EDITION, _digest(text))


@cache
def edition() -> str:
    """Which script this is: one that an administrator installed must be the same."""
    return next(line.partition("=")[2] for line in library().splitlines() if line.startswith("MQI_EDITION="))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def script(call: Call) -> str:
    """Shell text that answers one call; run with `--job SPEC` it is a job's wrapper instead."""
    return f"{library()}\ndo_verb {' '.join((call.verb, *call.words))}\n"
