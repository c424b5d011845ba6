"""Secrets, read each time they are needed: a renewed one takes effect at once."""

from __future__ import annotations

import os
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired


def from_file(path: Path) -> str:
    """The first line of a file that only its owner may read. ActionRequired otherwise, without quoting the secret."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ActionRequired(
            f"{path} cannot be read", "make it readable for this account; it holds the secret"
        ) from None
    if mode & 0o077:
        raise ActionRequired(f"{path} holds a secret and others may read it", f"chmod 600 {path}")
    if not lines or not lines[0].strip():
        raise ActionRequired(f"{path} is empty", "its first line is the secret")
    return lines[0].strip()


def from_environment(name: str) -> str:
    """The value of an environment variable. ActionRequired where it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ActionRequired(f"the environment variable {name} is not set", "set it for the service (EnvironmentFile=)")
    return value
