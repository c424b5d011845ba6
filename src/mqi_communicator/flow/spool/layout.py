"""The files of a case on the local disk, from admission to delivery. All names are opaque."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import DiskFull
from mqi_communicator.system.durable import make_folder, replace_file


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
    def origin(self) -> Path:
        """Which watched folder it came from, and when: enough to recover a case that the store has lost."""
        return self.root / "origin.json"

    @property
    def sent_to(self) -> Path:
        """The name of the host on which its beams may have started; missing before that."""
        return self.root / "sent-to"

    def host(self) -> str:
        """The host named in `sent_to`, "" if there is none."""
        return self.sent_to.read_text(encoding="utf-8") if self.sent_to.is_file() else ""

    @property
    def orders(self) -> Path:
        """The orders in effect (`flow.spool.decisions`)."""
        return self.root / "orders.json"

    @property
    def spent(self) -> Path:
        """The last run of each beam whose gate was removed from the host (`flow.steps.spent`)."""
        return self.root / "spent.json"

    @property
    def ended(self) -> Path:
        """The last judgement that was delivered (`flow.spool.decisions`)."""
        return self.root / "ended.json"

    @property
    def signed(self) -> Path:
        """The state of the signature of the last judgement that was signed (`flow.spool.decisions`)."""
        return self.root / "signed.json"

    @property
    def extension(self) -> Path:
        """The longer run that was ordered, if one was (`results.extension`)."""
        return self.root / "extension.json"

    @property
    def input(self) -> Path:
        """The engine's input, ready to be sent: common/, beam-<number>/, SHA256SUMS."""
        return self.root / "input"

    @property
    def recipe(self) -> Path:
        """What the input was prepared for: engine, models, settings. Kept as long as the doses."""
        return self.root / "recipe.json"

    @property
    def prepared(self) -> Path:
        """The prepared CT, as the input was made from it (`flow.tasks.prepared_case`)."""
        return self.root / "prepared"

    def made_with(self) -> dict[str, str]:
        """The content of `recipe`; empty if there is none."""
        if not self.recipe.is_file():
            return {}
        return {str(name): str(value) for name, value in json.loads(self.recipe.read_text(encoding="utf-8")).items()}

    @property
    def dose(self) -> Path:
        """One accepted dose per beam, as arrays (`flow.tasks.stored_dose`)."""
        return self.root / "dose"

    @property
    def comparison(self) -> Path:
        """The checks of a comparison under way (`flow.tasks.comparison`)."""
        return self.root / "comparison"

    @property
    def results(self) -> Path:
        """What will be delivered."""
        return self.root / "results"

    @property
    def viewer(self) -> Path:
        """The volumes of the last judgement, for the dashboard's viewer (`report.viewer_file`)."""
        return self.root / "viewer"

    def back(self, token: str) -> Path:
        """What was fetched of one run."""
        return self.root / "back" / token


def write_durably(path: Path, text: str) -> None:
    """Write a small file of the spool atomically and durably. A file with the same text is left unchanged.

    DiskFull if the spool cannot be written.
    """
    try:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            make_folder(path.parent)
            replace_file(path, text)
    except OSError as error:
        why = f"the spool cannot be written: {error.strerror}"
        raise DiskFull(why, "free space on the disk of paths.workspace") from None
