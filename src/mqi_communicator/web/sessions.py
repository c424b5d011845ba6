"""Sessions. They end with this process, after their lifetime, or when the user or the password changes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from mqi_communicator.web.users import User

_MOST = 1000
_MOST_OF_USER = 50  # so that no user can end the sessions of others


@dataclass(frozen=True, slots=True)
class Session:
    """One user in one browser. Every form contains `csrf` and must send it back."""

    user: User
    csrf: str
    ends: float  # monotonic s


class Sessions:
    """All sessions. Only a digest of each cookie is kept."""

    def __init__(self, hours: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_s, self._clock = hours * 3600.0, clock
        self._kept: dict[str, Session] = {}
        self._secret = secrets.token_bytes(32)

    def begin(self, user: User) -> str:
        """Start a session; returns the cookie. The user's oldest session is removed when there are too many, and the
        oldest of all."""
        now = self._clock()
        self._kept = {key: session for key, session in self._kept.items() if session.ends > now}
        own = [key for key, session in self._kept.items() if session.user.name == user.name]
        for key in own[: max(0, len(own) - _MOST_OF_USER + 1)]:
            del self._kept[key]
        while len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        cookie = secrets.token_urlsafe(32)
        self._kept[_digest(cookie)] = Session(user, secrets.token_urlsafe(32), now + self._life_s)
        return cookie

    def find(self, cookie: str, users: dict[str, User]) -> Session | None:
        """The session of a cookie, if it has not expired and the user still has the same password."""
        session = self._kept.get(_digest(cookie))
        if session is None or session.ends <= self._clock():
            return None
        now = users.get(session.user.name)
        if now is None or now.password != session.user.password:
            return None
        return Session(now, session.csrf, session.ends)

    def end(self, cookie: str) -> None:
        """Sign out."""
        self._kept.pop(_digest(cookie), None)

    def behind_proxy(self, user: User) -> Session:
        """The session of a user whom the proxy has authenticated: no cookie; the token is derived from the name."""
        csrf = hmac.new(self._secret, user.name.encode(), "sha256").hexdigest()
        return Session(user, csrf, self._clock() + self._life_s)


def tokens_equal(given: str, wanted: str) -> bool:
    """Whether two tokens are equal, in constant time."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
