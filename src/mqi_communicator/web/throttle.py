"""Throttles sign-in: after some failures, a user name or an address is locked for a while. Pure.

Addresses of this machine are never locked, since all users of a reverse proxy share one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mqi_communicator.web.options import is_loopback

FREE = {"name": 5, "address": 20}  # failures without a pause
FIRST_S, CAP_S = 5.0, 900.0  # the first pause; each further failure doubles it, up to the cap
FORGET_S = 3600.0
MOST = 10_000  # names and addresses remembered


@dataclass(slots=True)
class Throttle:
    """Failures: (kind, who) -> (count, time of the last one). FREE failures decay in FORGET_S."""

    _failures: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def pause(self, name: str, address: str, now: float) -> float:
        """Seconds for which sign-in is locked for this name ("": none) or address ("": unknown); 0 if not locked."""
        return max((self._pause(kind, who, now) for kind, who in _counted(name, address)), default=0.0)

    def failed(self, name: str, address: str, now: float) -> None:
        """Count an attempt, before the password is checked; `succeeded` takes it back."""
        for kind, who in _counted(name, address):
            self._failures[kind, who] = (self._decayed(kind, who, now) + 1.0, now)
        while len(self._failures) > MOST:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, name: str, address: str) -> None:
        """Reset the count of the name; for the address take back this attempt only."""
        self._failures.pop(("name", name), None)
        if (found := self._failures.get(("address", address))) is not None:
            self._failures["address", address] = (max(0.0, found[0] - 1.0), found[1])

    def _decayed(self, kind: str, who: str, now: float) -> float:
        """Remove and return the decayed number of failures."""
        count, last = self._failures.pop((kind, who), (0.0, now))
        passed = now - last
        return 0.0 if passed > FORGET_S else max(0.0, count - FREE[kind] * passed / FORGET_S)

    def _pause(self, kind: str, who: str, now: float) -> float:
        count, last = self._failures.get((kind, who), (0.0, now))
        beyond = math.ceil(count) - FREE[kind]
        if beyond < 0 or now - last > FORGET_S:
            return 0.0
        return max(0.0, last + min(CAP_S, FIRST_S * 2.0 ** min(beyond, 20)) - now)


def _counted(name: str, address: str) -> list[tuple[str, str]]:
    known = address != "" and not is_loopback(address)
    return [*([("name", name)] if name else []), *([("address", address)] if known else [])]
