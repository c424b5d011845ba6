"""Is the share we look at the share we know? Pure.

A share that vanishes seems to delete every case, and the mount point below it seems to be an empty folder. None of
that is news about cases: nothing is believed until the folder is itself again.
"""

from __future__ import annotations

from dataclasses import dataclass

Identity = tuple[int, int]
"""Device and inode of the watched folder. A share that is mounted again may come back with another device."""


@dataclass(slots=True)
class Guard:
    """Remembers what the watched folder was when it was last believed."""

    identity: Identity | None = None
    known: frozenset[str] = frozenset()

    def reason_to_distrust(self, identity: Identity, folders: frozenset[str]) -> str:
        """Why this look must not be believed, or "" if it may be; then it becomes what is known."""
        if self.identity is not None:
            if self.known and not folders:
                return f"the watched folder is suddenly empty; {len(self.known)} case folders were there before"
            if identity != self.identity and self.known and not self.known & folders:
                return (
                    "another folder or share stands where the watched folder was; none of the "
                    f"{len(self.known)} case folders known before is in it"
                )
        self.identity, self.known = identity, folders
        return ""
