"""Times for people: local, with their offset to UTC. Programs get UTC."""

from __future__ import annotations

import time


def offset(at: float) -> str:
    """The local offset to UTC at a time (epoch seconds): +01:00."""
    text = time.strftime("%z", time.localtime(at))
    return f"{text[:3]}:{text[3:5]}"


def moment(at: float) -> str:
    """Date and time to the second: 2026-01-31 14:05:09 +01:00."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))} {offset(at)}"


def minute(at: float, now: float) -> str:
    """Date and time to the minute, without the date if it is the day of `now`: 14:05 +01:00."""
    return f"{short(at, now)} {offset(at)}"


def short(at: float, now: float) -> str:
    """The same without the offset, for a column whose head names it."""
    here = time.localtime(at)
    today = here[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", here)


def day(at: float) -> str:
    """The local day: 2026-01-31."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


def utc(at: float) -> str:
    """For programs: ISO 8601 in UTC, 2026-01-31T13:05:09Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def midnight(now: float) -> float:
    """When the local day of `now` began (epoch seconds)."""
    return time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
