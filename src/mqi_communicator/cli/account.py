"""Who gives an order or signs: determined from the kernel and the password database, not from the environment."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_DEEPEST = 64  # ancestor processes that are checked


def invoker() -> str:
    """The account of this process, with the user who became it through sudo: "root (sudo by ann)"."""
    uid = os.getuid()
    return account(uid, os.environ, _ancestors(), _name)


def account(
    uid: int, environment: Mapping[str, str], ancestors: Iterable[int], name_of: Callable[[int], str | None]
) -> str:
    """The name of a user id, from the password database alone; "uid 1234" where it has none.

    sudo sets SUDO_UID and SUDO_USER. They are used only if they name the same user of the password database, and if
    root vouches for them: this process is root's, or one of its ancestors runs under that user id.
    """
    own = name_of(uid) or f"uid {uid}"
    sudo_uid, user = environment.get("SUDO_UID", ""), environment.get("SUDO_USER", "")
    if not (sudo_uid.isascii() and sudo_uid.isdecimal() and len(sudo_uid) <= 10):  # noqa: PLR2004 - a user id has 32 bits
        return own
    before = int(sudo_uid)
    if before == uid or name_of(before) != user:
        return own
    return f"{own} (sudo by {user})" if uid == 0 or before in ancestors else own


def _name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


def _ancestors() -> Iterable[int]:
    """Yield the real user ids of the ancestor processes, read from /proc; nothing without /proc."""
    process = os.getppid()
    for _ in range(_DEEPEST):
        try:
            lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        yield int(facts["Uid"].split()[0])
        process = int(facts["PPid"])
