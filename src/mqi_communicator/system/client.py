"""One accepted connection: it waits for its client, within a deadline, or the server is busy with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Client:
    """A connection as a `Listener` counts it. It starts waiting; its protocol calls `busy`, `wait` and `ended`."""

    def __init__(self, patience_s: float, forget: Callable[[Client], None]) -> None:
        self._patience_s, self._forget = patience_s, forget
        self._deadline: asyncio.TimerHandle | None = None
        self._abort: Callable[[], object] = lambda: None
        self.since = 0.0  # loop time: it waits for its client since then
        self.wait()

    @property
    def waiting(self) -> bool:
        """Whether the next move is the client's. Such a connection is closed when another one needs its place."""
        return self._deadline is not None

    def wait(self) -> None:
        """The client must act now: send (the rest of) a request, or read a response. Starts a deadline if none runs."""
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            self.since = loop.time()
            self._deadline = loop.call_later(self._patience_s, self.abort)

    def busy(self) -> None:
        """The request is complete and its response is being made, for as long as that takes."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def aborts_with(self, abort: Callable[[], object]) -> None:
        """Set how the connection is closed at once."""
        self._abort = abort

    def abort(self) -> None:
        """Close the connection without a response."""
        self.ended()
        self._abort()

    def ended(self) -> None:
        """The connection is closed."""
        self.busy()
        self._forget(self)
