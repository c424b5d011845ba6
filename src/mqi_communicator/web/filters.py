"""Template filters: numbers and times in readable form. Pure."""

from __future__ import annotations

import time

from mqi_communicator.case import times
from mqi_communicator.case.numbers import value_text
from mqi_communicator.case.states import words
from mqi_communicator.case.views import state_of_beam

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def clock(at: float | None) -> str:
    """The time of day with its offset, and with the date unless it is today."""
    return "–" if at is None else times.minute(at, time.time())


def moment(at: float | None) -> str:
    """Date and time to the second, with the offset."""
    return "–" if at is None else times.moment(at)


def iso(at: float | None) -> str:
    """ISO 8601 in UTC, for the datetime attribute."""
    return "" if at is None else times.utc(at)


def span(seconds: float | None) -> str:
    """A duration: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "–"
    if seconds < 10:  # noqa: PLR2004 - below, tenths matter
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return _two(seconds, MINUTE, "min", 1.0, "s")
    if seconds < DAY:
        return _two(seconds, HOUR, "h", MINUTE, "min")
    return _two(seconds, DAY, "d", HOUR, "h")


def _two(seconds: float, large: float, large_unit: str, small: float, small_unit: str) -> str:
    whole, rest = divmod(int(seconds), int(large))
    part = int(rest // small)
    return f"{whole} {large_unit}" + (f" {part} {small_unit}" if part else "")


def left(seconds: float) -> str:
    """The time left: about 3 min left, less than a minute left; overdue if it is over."""
    if seconds < 0:
        return "overdue"
    return "less than a minute left" if seconds < MINUTE else f"about {span(MINUTE * round(seconds / MINUTE))} left"


def size(count: float | None) -> str:
    """Bytes: 512 B, 1.4 kB, 3.2 GB."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":  # noqa: PLR2004 - SI units
            break
        count /= 1000.0
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def number(value: object, unit: str, name: str = "") -> str:
    """The value of the check `name` with its unit."""
    return value_text(value, unit, name)


def signature(state: str) -> str:
    """The state of a signature as it is shown."""
    return "second signature due" if state == "second_due" else state


FILTERS = {
    "clock": clock,
    "moment": moment,
    "iso": iso,
    "span": span,
    "left": left,
    "size": size,
    "words": words,
    "beam_state": state_of_beam,
    "signature": signature,
}
