"""Times for people: local, with the offset from UTC. Pure."""

from __future__ import annotations

from datetime import datetime


def local(iso: str | None) -> str:
    """A time in ISO 8601 with an offset as local time, for example "2026-11-30 15:46:00 +01:00"; a dash if unknown."""
    if not iso:
        return "–"
    here = datetime.fromisoformat(iso).astimezone()
    offset = here.isoformat()[-6:]
    return f"{here:%Y-%m-%d %H:%M:%S} {offset}"


def of_plan(date: str, time: str) -> str:
    """A date (DA) and a time (TM) of a plan, which have no zone; "" if there is no date."""
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date  # noqa: PLR2004 - a DA
    clock = f" {time[:2]}:{time[2:4]}" if time[:4].isdigit() and len(time) >= 4 else ""  # noqa: PLR2004 - HHMM
    return f"{day}{clock}" if day else ""
