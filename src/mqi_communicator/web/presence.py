"""Who has which case open: the users whose pages of it are connected now. Kept in memory of this process alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Presence:
    """Open pages of cases. `version` grows with each change, and `notify` is called, so that other open pages are
    refreshed."""

    notify: Callable[[], None] = lambda: None
    version: int = 0
    _open: dict[str, Counter[str]] = field(default_factory=dict)  # case -> user -> pages

    @contextmanager
    def opened(self, case: str, user: str) -> Iterator[None]:
        """Count a page of this user until it is closed. A page without a case is not counted."""
        if not case:
            yield
            return
        self._open.setdefault(case, Counter())[user] += 1
        self._changed()
        try:
            yield
        finally:
            here = self._open[case]
            here[user] -= 1
            if here[user] <= 0:
                del here[user]
            if not here:
                del self._open[case]
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        self.notify()

    def users(self, case: str) -> list[str]:
        """The users who have the case open, by name."""
        return sorted(self._open.get(case, ()))
