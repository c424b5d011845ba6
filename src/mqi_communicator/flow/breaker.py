"""A breaker for one host and kind of work: pure state, kept in the store between processes.

closed: calls go through, the last few are remembered. open: nothing is tried until `probe_at`. half-open: one probe
is out; it closes the breaker or opens it for longer.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from mqi_communicator.flow.options import BreakerOptions

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state. `recent` holds the last calls, True for those that failed or were too slow."""

    state: State = "closed"
    recent: tuple[bool, ...] = ()
    opened_at: float = 0.0
    probe_at: float = 0.0
    openings: int = 0  # in a row
    why: str = ""

    def to_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Breaker:
        """From the store."""
        values = json.loads(text)
        return Breaker(**{**values, "recent": tuple(values["recent"])})


def admit(breaker: Breaker, now: float, options: BreakerOptions) -> tuple[Breaker, float]:
    """Whether a call may go out now: (new state, 0), or (same state, seconds to wait)."""
    if breaker.state == "closed":
        return breaker, 0.0
    pause = breaker.probe_at - now
    if 0 < pause <= _pause(breaker.openings, options):  # a longer one is none of ours: the clock was set back
        return breaker, pause
    # One probe at a time; if it never reports (we were killed), the next may go after another pause.
    return replace(breaker, state="half_open", probe_at=now + _pause(breaker.openings, options)), 0.0


def succeeded(breaker: Breaker, options: BreakerOptions) -> Breaker:
    """A call was answered: a probe closes the breaker."""
    if breaker.state != "closed":
        return Breaker()
    return replace(breaker, recent=(*breaker.recent, False)[-options.window :])


def failed(breaker: Breaker, now: float, why: str, options: BreakerOptions) -> Breaker:
    """A call was not answered: enough of them, or a failed probe, open the breaker."""
    recent = (*breaker.recent, True)[-options.window :]
    if breaker.state == "closed" and sum(recent) < options.failures:
        return replace(breaker, recent=recent, why=why)
    if breaker.state == "open":
        return breaker  # a straggler that began before it opened
    openings = breaker.openings + 1
    opened = breaker.opened_at if breaker.state == "half_open" else now
    return Breaker("open", (), opened, now + _pause(openings, options), openings, why)


def _pause(openings: int, options: BreakerOptions) -> float:
    return min(options.open_cap_s, options.open_s * 2.0 ** min(max(openings, 1) - 1, 20))
