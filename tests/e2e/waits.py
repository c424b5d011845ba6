"""What a test waits for: conditions on the cases of `mqi status --json`, and words of `mqi why`."""

from __future__ import annotations

import time


def named(cases, name: str):
    """The case of this folder, or {}."""
    return next((case for case in cases if case["folder"] == name), {})


def all_are(status: str, *names: str):
    return lambda cases: all(named(cases, name).get("status") == status for name in names)


def is_computed(name: str):
    """Whether a job of the case runs and has reported progress."""
    return lambda cases: any(
        beam["percent"] and beam["step"] == "follow" for beam in named(cases, name).get("beams", ())
    )


def why(site, name: str, words: str, seconds: float = 240) -> str:
    """What `mqi why` shows, once it shows these words."""
    deadline = time.monotonic() + seconds
    while words not in (shown := str(site.mqi("why", name).stdout)):
        assert time.monotonic() < deadline, f"{words} is not in: {shown}"
        time.sleep(0.5)
    return shown
