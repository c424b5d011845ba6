"""Where a case lies on our own disk, from admission to delivery. All names are opaque."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spool:
    """The private folder of one case, mode 0700."""

    root: Path  # workspace/spool/<key>

    @property
    def case(self) -> Path:
        """The admitted DICOM files and `manifest.json`; never changed after admission."""
        return self.root / "case"

    @property
    def manifest(self) -> Path:
        """What was admitted; its presence says that admission is complete."""
        return self.case / "manifest.json"

    @property
    def input(self) -> Path:
        """The engine's input, ready to be sent: common/, beam-<number>/, SHA256SUMS."""
        return self.root / "input"

    @property
    def dose(self) -> Path:
        """One accepted dose per beam, as arrays."""
        return self.root / "dose"

    @property
    def results(self) -> Path:
        """What will be delivered."""
        return self.root / "results"

    def back(self, token: str) -> Path:
        """What one run brought home."""
        return self.root / "back" / token
