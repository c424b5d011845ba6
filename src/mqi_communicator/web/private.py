"""Checks owner and permissions of the dashboard's private files, as ssh does for its keys."""

from __future__ import annotations

import os
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.private_file import exposure


def check_key(path: Path) -> None:
    """ActionRequired where others than this account, or root and its group, can read or change a private key."""
    try:
        state = path.stat()
    except OSError as error:
        raise ActionRequired(f"the private key {path} cannot be read: {error.strerror}", "correct web.key") from None
    if found := exposure("the private key", path, state, os.geteuid()):
        raise ActionRequired(*found)


def check_tokens(path: Path, state: os.stat_result) -> None:
    """ActionRequired where others than this account, or root and its group, can read or change the tokens file."""
    if found := exposure("the tokens file", path, state, os.geteuid()):
        reason, advice = found
        raise ActionRequired(reason, f"{advice}, then check that mqi token list shows no unknown token")


def check_users(path: Path, state: os.stat_result) -> None:
    """ActionRequired where others than this account, or root and its group, can read or change the users file."""
    if found := exposure("the users file", path, state, os.geteuid()):
        reason, advice = found
        raise ActionRequired(reason, f"{advice}, then check that mqi user list shows no unknown user")
