"""A share that vanished is not believed; one that came back is."""

from __future__ import annotations

import pytest

from mqi_communicator.intake.guard import Guard

pytestmark = pytest.mark.pure

SHARE, MOUNT_POINT, REMOUNTED = (8, 1), (1, 77), (9, 1)


def test_first_look_is_believed_whatever_it_shows():
    assert Guard().reason_to_distrust(SHARE, frozenset()) == ""


def test_cases_come_and_go():
    guard = Guard()
    for folders in ({"a"}, {"a", "b"}, {"b"}, {"b", "c"}):
        assert guard.reason_to_distrust(SHARE, frozenset(folders)) == ""


@pytest.mark.parametrize("identity", [SHARE, MOUNT_POINT])
def test_sudden_emptiness_is_not_believed_until_something_is_there(identity):
    guard = Guard()
    guard.reason_to_distrust(SHARE, frozenset({"a", "b"}))
    assert "suddenly empty; it held 2 case folders" in guard.reason_to_distrust(identity, frozenset())
    assert guard.reason_to_distrust(SHARE, frozenset({"a", "b"})) == ""


def test_another_share_in_its_place_is_not_believed():
    guard = Guard()
    guard.reason_to_distrust(SHARE, frozenset({"a", "b"}))
    assert "none of the 2 case folders" in guard.reason_to_distrust(MOUNT_POINT, frozenset({"x"}))
    assert guard.reason_to_distrust(SHARE, frozenset({"a"})) == ""


def test_the_same_share_mounted_again_is_believed():
    guard = Guard()
    guard.reason_to_distrust(SHARE, frozenset({"a", "b"}))
    assert guard.reason_to_distrust(REMOUNTED, frozenset({"b", "c"})) == ""
    assert guard.reason_to_distrust(REMOUNTED, frozenset({"d"})) == ""


def test_share_mounted_only_after_the_start():
    guard = Guard()
    assert guard.reason_to_distrust(MOUNT_POINT, frozenset()) == ""
    assert guard.reason_to_distrust(SHARE, frozenset({"a"})) == ""
