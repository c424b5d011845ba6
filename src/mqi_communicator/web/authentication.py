"""Passwords, checked one at a time and throttled: for signing in, and for signing results."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import span
from mqi_communicator.web.users import LONGEST, User, password_matches

# hashing takes 64 MiB; and each attempt is counted before the next one is checked
_one_at_a_time = asyncio.Lock()
MAX_WAITING = 20  # attempts: each waits a tenth of a second for those before it, and holds a connection
BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt with a password. `user`: who has given the right one."""

    user: User | None
    pause_s: float = 0.0  # locked for so long after failures; the password was not checked
    busy: bool = False  # too many attempts wait; the password was not checked

    @property
    def refusal(self) -> str:
        """Why the password was not checked; "" if it was."""
        if self.busy:
            return "Too many users are signing in. Try again in a few seconds."
        return f"Too many failed attempts. Try again in {span(self.pause_s)}." if self.pause_s > 0 else ""

    @property
    def retry_after_s(self) -> float:
        """When to try again."""
        return BUSY_S if self.busy else self.pause_s


async def check_password(context: DashboardContext, name: str, password: str, address: str) -> Attempt:
    """Check the password of a user. Failures are counted for the name and the address, whatever it is needed for."""
    user = context.users.users().get(name)
    if context.signing_in >= MAX_WAITING:
        return Attempt(None, busy=True)
    context.signing_in += 1
    try:
        async with _one_at_a_time:
            pause = context.throttle.pause(name, address, time.monotonic())
            if pause > 0:
                return Attempt(None, pause)
            context.throttle.failed(name, address, time.monotonic())
            correct = await asyncio.to_thread(password_matches, user, password[: LONGEST + 1])
    finally:
        context.signing_in -= 1
    if not correct:
        return Attempt(None)
    context.throttle.succeeded(name, address)
    return Attempt(user)
