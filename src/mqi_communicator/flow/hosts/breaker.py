"""A breaker for one host and kind of work: pure state, kept in the store between processes.

closed: calls pass, and the last few are remembered; enough failed or slow ones open it. open: nothing is sent until
`probe_at`. half-open: one probe is sent; an answer in time allows two calls at once, the next four, and so on, so that
a host that has just returned is not overloaded. Once `window` calls are allowed at once it closes. A failure or a slow
answer in between opens it again, for longer.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from mqi_communicator.flow.options import BreakerOptions

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state. `recent` holds the last calls, True for those that failed; `slow` the same calls, by slowness."""

    state: State = "closed"
    recent: tuple[bool, ...] = ()
    opened_at: float = 0.0
    probe_at: float = 0.0
    openings: int = 0  # in a row
    why: str = ""
    slow: tuple[bool, ...] = ()
    answered: int = 0  # in a row, while half-open

    @property
    def recovering(self) -> bool:
        """Whether the host answers again and its calls are increased step by step."""
        return self.state == "half_open" and self.answered > 0

    def to_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Breaker:
        """From the store."""
        values = json.loads(text)
        return Breaker(**{**values, "recent": tuple(values["recent"]), "slow": tuple(values.get("slow", ()))})


def admit(breaker: Breaker, now: float, options: BreakerOptions, in_flight: int = 0) -> tuple[Breaker, float]:
    """Whether a call may be sent with `in_flight` under way: (new state, 0), or (same state, seconds to wait)."""
    if breaker.state == "closed":
        return breaker, 0.0
    if breaker.recovering:
        return breaker, 0.0 if in_flight < 2**breaker.answered else options.back_s
    pause = breaker.probe_at - now
    if 0 < pause <= _pause(breaker.openings, options):  # a longer one means that the clock was set back
        return breaker, pause
    # One probe at a time; if it never returns (this process was killed), the next is sent after another pause.
    return replace(breaker, state="half_open", probe_at=now + _pause(breaker.openings, options)), 0.0


def succeeded(breaker: Breaker, now: float, options: BreakerOptions, share: float = 0.0) -> Breaker:
    """A call was answered, after this share of its deadline."""
    slow = share > options.slow_share
    if breaker.state != "closed":  # a call that began before it opened counts as a probe
        if slow:
            return _open(breaker, now, _slow(share), options)
        answered = breaker.answered + 1
        if 2**answered >= options.window:
            return Breaker()
        return replace(breaker, state="half_open", answered=answered)
    late = (*breaker.slow, slow)[-options.window :]
    if sum(late) >= options.slow_calls:
        return _open(breaker, now, _slow(share), options)
    return replace(breaker, recent=(*breaker.recent, False)[-options.window :], slow=late)


def failed(breaker: Breaker, now: float, why: str, options: BreakerOptions) -> Breaker:
    """A call was not answered: enough of them, or a failed probe, open the breaker."""
    recent = (*breaker.recent, True)[-options.window :]
    slow = (*breaker.slow, False)[-options.window :]
    if breaker.state == "closed" and sum(recent) < options.failures:
        return replace(breaker, recent=recent, slow=slow, why=why)
    if breaker.state == "open":
        return breaker  # a call that began before it opened
    return _open(breaker, now, why, options)


def _open(breaker: Breaker, now: float, why: str, options: BreakerOptions) -> Breaker:
    openings = breaker.openings + 1
    opened = breaker.opened_at if breaker.state == "half_open" else now
    return Breaker("open", (), opened, now + _pause(openings, options), openings, why)


def _slow(share: float) -> str:
    return f"it answers too slowly: the last call took {100 * share:.0f} % of its time limit"


def _pause(openings: int, options: BreakerOptions) -> float:
    return min(options.open_cap_s, options.open_s * 2.0 ** min(max(openings, 1) - 1, 20))
