"""Checks that the watched folder is still the same share. Pure.

A share that disappears looks like a deletion of every case, and its mount point like an empty folder. Neither says
anything about the cases: scans are untrusted until the folder is the same again.
"""

from __future__ import annotations

from dataclasses import dataclass

Identity = tuple[int, int]
"""Device and inode of the watched folder. A share that is mounted again may have another device."""


@dataclass(slots=True)
class Guard:
    """Remembers the watched folder as it was when it was last trusted."""

    identity: Identity | None = None
    known: frozenset[str] = frozenset()

    def reason_to_distrust(self, identity: Identity, folders: frozenset[str]) -> str:
        """Return why this scan is untrusted; or "" if it is trusted, and remember it."""
        if self.identity is not None:
            if self.known and not folders:
                return f"the watched folder is suddenly empty; it held {len(self.known)} case folders before"
            if identity != self.identity and self.known and not self.known & folders:
                return (
                    "the watched folder is now another folder or share; it has none of the "
                    f"{len(self.known)} case folders known before"
                )
        self.identity, self.known = identity, folders
        return ""
