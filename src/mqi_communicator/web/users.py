"""The users file: user names, roles and password hashes (argon2id, RFC 9106)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.visible import visible
from mqi_communicator.web import account_file
from mqi_communicator.web.options import ROLES, Role, WebOptions
from mqi_communicator.web.private import check_users

FORMAT = "mqi-users/1"
SHORTEST = 10  # characters of a password
SHORTEST_NAME, LONGEST_NAME = 2, 80  # characters of a full name or a title
LONGEST = 200  # limits the cost of hashing
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ADVICE = "mqi user add NAME --role viewer|operator|physicist"


@dataclass(frozen=True, slots=True)
class User:
    """One user. `password` is a hash; "" for a user who signs in only at the reverse proxy.

    `full_name` and `title` are those of the person, as stamped on what is signed; "" if they are not known.
    """

    name: str
    role: Role
    password: str = ""
    full_name: str = ""
    title: str = ""

    def may(self, role: Role) -> bool:
        """Whether this user has the rights of `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(slots=True)
class UsersFile:
    """The file, read again after each change."""

    path: Path
    _stamp: tuple[int, int] | None = None
    _known: dict[str, User] = field(default_factory=dict)

    def users(self) -> dict[str, User]:
        """All users by name; none if there is no file. ActionRequired if it is damaged, or others may change it."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return {}
        check_users(self.path, state)
        stamp = (state.st_mtime_ns, state.st_ino)
        if stamp != self._stamp:
            self._known, self._stamp = _read(self.path), stamp
        return self._known

    def put(self, user: User) -> None:
        """Add a user, or replace the one of this name."""
        if not _NAME.fullmatch(user.name):
            raise ActionRequired(
                f'"{user.name}" is not a valid user name', "use letters, digits and . _ @ -, at most 64 characters"
            )
        for what, text in (("full name", user.full_name), ("title", user.title)):
            if text and not (SHORTEST_NAME <= len(text) <= LONGEST_NAME and visible(text) == text == text.strip()):
                raise ActionRequired(
                    f"this is not a valid {what}: it is stamped on signed reports",
                    f"use {SHORTEST_NAME} to {LONGEST_NAME} visible characters",
                )
        with self._locked() as known:
            known[user.name] = user

    def remove(self, name: str) -> None:
        """Remove a user. ActionRequired if there is none of this name."""
        with self._locked() as known:
            if known.pop(name, None) is None:
                raise ActionRequired(f'there is no user "{name}"', "mqi user list shows them")

    @contextmanager
    def _locked(self) -> Iterator[dict[str, User]]:
        """Change the users under a lock; the file is replaced atomically."""
        with account_file.locked(self.path, "web.users"):
            known = dict(self.users())
            yield known
            _write(self.path, known)


def users_of(options: WebOptions | None, workspace: Path) -> UsersFile:
    """The users file of this configuration."""
    named = options.users if options is not None else None
    return UsersFile(named or workspace / "users.json")


def _read(path: Path) -> dict[str, User]:
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ActionRequired(f"the users file {path} cannot be read", f"move it away and {_ADVICE}") from None


def _parsed(document: dict[str, Any]) -> dict[str, User]:
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    users = {name: User(name, **facts) for name, facts in document["users"].items()}
    if strange := [user.role for user in users.values() if user.role not in ROLES]:
        raise ValueError(strange[0])
    return users


def _write(path: Path, users: dict[str, User]) -> None:
    records = {name: _record(user) for name, user in sorted(users.items())}
    account_file.write(path, {"format": FORMAT, "users": records})


def _record(user: User) -> dict[str, str]:
    person = {"full_name": user.full_name, "title": user.title}
    return {"role": user.role, "password": user.password, **{name: text for name, text in person.items() if text}}


_HASHER = PasswordHasher()  # argon2-cffi's defaults: RFC 9106, low memory (64 MiB, 3 passes, 4 lanes)
_DUMMY_HASH = ""


def hash_password(password: str) -> str:
    """The hash of a new password. ActionRequired if it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ActionRequired(
            f"a password has {SHORTEST} to {LONGEST} characters", "choose for example a short sentence"
        )
    return _HASHER.hash(password)


def password_matches(user: User | None, password: str) -> bool:
    """Whether this is the user's password. Takes the same time for an unknown user."""
    global _DUMMY_HASH  # noqa: PLW0603 - created on first use
    if not _DUMMY_HASH:
        _DUMMY_HASH = _HASHER.hash(os.urandom(16).hex())
    kept = user.password if user is not None else ""
    try:
        correct = _HASHER.verify(kept or _DUMMY_HASH, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return correct and bool(kept)


def public(user: User) -> dict[str, str]:
    """What `mqi user list` shows of a user."""
    shown: dict[str, str] = asdict(user)
    shown["signs_in"] = "here" if shown.pop("password") else "at the proxy"
    return shown
