"""Secrets, read each time they are needed: a renewed one takes effect at once."""

from __future__ import annotations

import os
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.private_file import exposure


def from_file(path: Path) -> str:
    """The first line of a file that only this account can read. ActionRequired otherwise; it quotes no secret."""
    try:
        state = path.stat()
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ActionRequired(
            f"{path} cannot be read", "make it readable for this account; it holds the secret"
        ) from None
    if found := exposure("the secret", path, state, os.geteuid()):
        raise ActionRequired(*found)
    if not lines or not lines[0].strip():
        raise ActionRequired(f"{path} is empty", "its first line is the secret")
    return lines[0].strip()


def from_environment(name: str) -> str:
    """The value of an environment variable. ActionRequired where it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ActionRequired(f"the environment variable {name} is not set", "set it for the service (EnvironmentFile=)")
    return value
