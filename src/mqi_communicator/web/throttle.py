"""Guessing passwords is slow: after some failures a name, and an address, is not listened to for a while. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

FREE = {"name": 5, "address": 20}  # failures that cost nothing
FIRST_S, CAP_S = 5.0, 900.0  # the first pause; each further failure doubles it, up to the cap
FORGET_S = 3600.0
MOST = 10_000  # names and addresses remembered


@dataclass(slots=True)
class Throttle:
    """Failures so far: (kind, who) -> (how many, when the last was)."""

    _failures: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def pause(self, name: str, address: str, now: float) -> float:
        """Seconds for which nobody is listened to under this name or from this address; 0: go on."""
        return max(self._pause("name", name, now), self._pause("address", address, now))

    def failed(self, name: str, address: str, now: float) -> None:
        """Note a wrong password."""
        for kind, who in (("name", name), ("address", address)):
            count, last = self._failures.pop((kind, who), (0, now))
            self._failures[kind, who] = (1 if now - last > FORGET_S else count + 1, now)
        while len(self._failures) > MOST:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, name: str) -> None:
        """The right password: the name starts afresh. The address does not: it may be one of many guesses."""
        self._failures.pop(("name", name), None)

    def _pause(self, kind: str, who: str, now: float) -> float:
        count, last = self._failures.get((kind, who), (0, now))
        beyond = count - FREE[kind]
        if beyond < 0 or now - last > FORGET_S:
            return 0.0
        return max(0.0, last + min(CAP_S, FIRST_S * 2.0 ** min(beyond, 20)) - now)
