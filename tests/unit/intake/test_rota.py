"""Every folder is looked into, old ones less often."""

from __future__ import annotations

import pytest

from mqi_communicator.intake.rota import QUIET_SCANS, SHARE, ScanRota

pytestmark = pytest.mark.pure
FOLDERS = [f"case {number}" for number in range(100)]


@pytest.fixture
def quiet() -> ScanRota:
    rota = ScanRota()
    for _ in range(QUIET_SCANS):
        assert rota.choose(FOLDERS, ()) == FOLDERS
        rota.note(FOLDERS, ())
    return rota


def scan(rota: ScanRota, folders=FOLDERS, reported=(), changed=()) -> list[str]:
    seen = rota.choose(folders, reported)
    rota.note(seen, [name for name in seen if name in changed])
    return seen


def test_unchanged_folders_are_looked_into_once_in_eight_scans(quiet: ScanRota):
    seen = [name for _ in range(SHARE) for name in scan(quiet)]
    assert sorted(seen) == sorted(FOLDERS)


def test_a_new_folder_is_looked_into_in_each_scan_and_moves_no_other_out_of_its_turn(quiet: ScanRota):
    seen: list[str] = []
    for number in range(SHARE):
        folders = sorted([*FOLDERS, *(f"a {new}" for new in range(number + 1))])
        found = scan(quiet, folders)
        assert f"a {number}" in found
        assert "a 0" in found
        seen += found
    assert set(FOLDERS) <= set(seen)


def test_a_folder_in_which_a_change_was_reported_is_looked_into_at_once(quiet: ScanRota):
    for _ in range(SHARE):
        assert "case 7" in scan(quiet, reported=["case 7"])


def test_a_folder_that_has_changed_is_looked_into_in_each_scan_again(quiet: ScanRota):
    scan(quiet, reported=["case 7"], changed=["case 7"])
    for _ in range(QUIET_SCANS):
        assert "case 7" in scan(quiet)


def test_a_folder_that_was_away_is_new(quiet: ScanRota):
    scan(quiet, FOLDERS[1:])
    for _ in range(SHARE):
        assert FOLDERS[0] in scan(quiet)
