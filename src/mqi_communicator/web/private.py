"""Checks owner and permissions of the dashboard's private files, as ssh does for its keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired


def check_key(path: Path) -> None:
    """ActionRequired where others than this account, or root and its group, can read or change a private key."""
    try:
        state = path.stat()
    except OSError as error:
        raise ActionRequired(f"the private key {path} cannot be read: {error.strerror}", "correct web.key") from None
    _check_owner(path, state, "the private key")
    roots = state.st_uid == 0 and os.geteuid() != 0  # a key owned by root may be readable by our group
    if stat.S_IMODE(state.st_mode) & (0o027 if roots else 0o077):
        raise ActionRequired(
            f"the private key {path} can be read by others: its mode is {stat.S_IMODE(state.st_mode):04o}",
            f"chmod {'640' if roots else '600'} {path}",
        )


def check_users(path: Path, state: os.stat_result) -> None:
    """ActionRequired if anyone but this account and root can change the users file."""
    _check_owner(path, state, "the users file")
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ActionRequired(
            f"the users file {path} can be changed by others: its mode is {stat.S_IMODE(state.st_mode):04o}",
            f"chmod 600 {path}, then check that mqi user list shows no unknown user",
        )


def _check_owner(path: Path, state: os.stat_result, what: str) -> None:
    if os.geteuid() != 0 and state.st_uid not in (0, os.geteuid()):  # root may read files of the service's account
        raise ActionRequired(
            f"{what} {path} belongs to user {state.st_uid}, neither to this account nor to root",
            f"chown $USER {path}, or create the file again",
        )
