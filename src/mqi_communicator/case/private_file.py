"""Whether a file that holds a secret is private to this account. Pure."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path


def exposure(what: str, path: Path, state: os.stat_result, account: int) -> tuple[str, str] | None:
    """Why a secret is not private, and what to do; None if it is. `account`: our effective user id.

    As ssh does with its keys: neither group nor others may have any permission. A file that belongs to root may be
    readable by its group, which is how an administrator gives it to the service. Root may read files of any account.
    """
    if account not in (0, state.st_uid) and state.st_uid != 0:
        return (
            f"{what} {path} belongs to user {state.st_uid}, neither to this account nor to root",
            f"chown $USER {shlex.quote(str(path))}, or create the file again",
        )
    mode = stat.S_IMODE(state.st_mode)
    roots = state.st_uid == 0 and account != 0
    if not mode & (0o027 if roots else 0o077):
        return None
    verb = "changed" if mode & 0o022 else "read"
    advice = f"chmod {640 if roots else 600} {shlex.quote(str(path))}"
    return f"{what} {path} can be {verb} by others: its mode is {mode:04o}", advice
