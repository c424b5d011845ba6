"""API tokens: each acts for one user, with a role of its own, until it expires. Only their digests are kept.

A token is random (256 bits), so that a plain digest cannot be reversed. It works as long as its user exists, with the
lesser of its role and the user's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.web import account_file
from mqi_communicator.web.options import ROLES, Role
from mqi_communicator.web.private import check_tokens
from mqi_communicator.web.users import User

FORMAT = "mqi-tokens/1"
LONGEST_DAYS = 366
_TOKEN = re.compile(r"mqi_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
_ID_BYTES, _SECRET_BYTES = 5, 32
_USE_EVERY_S = 60.0
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `digest` is the SHA-256 of the whole of it."""

    id: str
    user: str
    role: Role
    purpose: str  # as its owner named it
    created: float  # epoch seconds
    expires: float
    digest: str

    def acts_as(self, user: User) -> User:
        """The user, with the lesser of both roles."""
        return replace(user, role=min(user.role, self.role, key=ROLES.index))


def is_token(text: str) -> bool:
    """Whether this looks like one of our tokens: others may be meant for a reverse proxy."""
    return text.startswith("mqi_")


@dataclass(slots=True)
class TokensFile:
    """The file of all tokens, read again after each change."""

    path: Path
    _stamp: tuple[int, int] | None = None
    _known: dict[str, Token] = field(default_factory=dict)

    def tokens(self) -> dict[str, Token]:
        """All tokens by id; none if there is no file. ActionRequired if it is damaged, or others may read it."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return {}
        check_tokens(self.path, state)
        stamp = (state.st_mtime_ns, state.st_ino)
        if stamp != self._stamp:
            self._known, self._stamp = _read(self.path), stamp
        return self._known

    def add(self, user: str, role: Role, days: float, purpose: str, now: float) -> tuple[Token, str]:
        """Add a token that expires in some days; returns it with its text, which is shown once."""
        if not 0 < days <= LONGEST_DAYS:
            raise ActionRequired(f"a token expires after at most {LONGEST_DAYS} days", "choose --days")
        name = _base32(secrets.token_bytes(_ID_BYTES))
        text = f"mqi_{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        token = Token(name, user, role, purpose, now, now + days * _DAY_S, _digest(text))
        with account_file.locked(self.path, "web.users"):
            self._write({**self.tokens(), name: token})
        return token, text

    def remove(self, name: str) -> Token:
        """Remove a token. ActionRequired if there is none with this id."""
        with account_file.locked(self.path, "web.users"):
            known = dict(self.tokens())
            token = known.pop(name, None)
            if token is None:
                raise ActionRequired(f'there is no token "{name}"', "mqi token list shows them")
            self._write(known)
        return token

    def find(self, text: str, now: float) -> Token | None:
        """The token with this text, if it has not expired."""
        found = _TOKEN.fullmatch(text)
        token = self.tokens().get(found[1]) if found else None
        if token is None or not hmac.compare_digest(token.digest, _digest(text)) or token.expires <= now:
            return None
        return token

    def _write(self, tokens: dict[str, Token]) -> None:
        records = {name: {**asdict(token)} for name, token in sorted(tokens.items())}
        account_file.write(self.path, {"format": FORMAT, "tokens": records})


@dataclass(slots=True)
class TokenUse:
    """When each token was last used, to the minute. A file of its own: whoever serves pages changes no token."""

    path: Path
    _known: dict[str, float] = field(default_factory=dict)

    def last(self) -> dict[str, float]:
        """The last use by token id, in epoch seconds; nothing if it is not known."""
        try:
            return {str(name): float(at) for name, at in json.loads(self.path.read_text(encoding="ascii")).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def is_news(self, token: str, now: float) -> bool:
        """Whether the last recorded use is more than a minute ago."""
        return now - self._known.get(token, 0.0) > _USE_EVERY_S

    def record(self, token: str, now: float) -> None:
        """Record a use. A disk that is full or missing is no reason to refuse a request."""
        self._known[token] = now
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            known = {**self.last(), token: now}
            aside.write_text(json.dumps(known), encoding="ascii")
            aside.rename(self.path)
        except OSError:
            aside.unlink(missing_ok=True)


def public(token: Token, last_use: float | None) -> dict[str, Any]:
    """What `mqi token list` shows of a token."""
    shown = asdict(token)
    del shown["digest"]
    return shown | {"last_use": last_use}


def tokens_of(users: Path) -> TokensFile:
    """The file of tokens beside a users file."""
    return TokensFile(users.with_name(f"{users.stem}-tokens.json"))


def token_use_of(workspace: Path) -> TokenUse:
    """The file of uses in the workspace."""
    return TokenUse(workspace / "token-use.json")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _base32(data: bytes) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    number = int.from_bytes(data)
    return "".join(alphabet[(number >> (5 * place)) & 31] for place in range(len(data) * 8 // 5))


def _read(path: Path) -> dict[str, Token]:
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ActionRequired(
            f"the tokens file {path} cannot be read", "move it away; then mqi token add makes new tokens"
        ) from None


def _parsed(document: dict[str, Any]) -> dict[str, Token]:
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    tokens = {name: Token(**facts) for name, facts in document["tokens"].items()}
    if strange := [token.role for token in tokens.values() if token.role not in ROLES]:
        raise ValueError(strange[0])
    return tokens
