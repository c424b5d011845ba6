"""A share that vanished is not believed; one that came back is."""

from __future__ import annotations

import pytest

from mqi_communicator.intake.guard import Guard

pytestmark = pytest.mark.pure

SHARE, MOUNT_POINT, REMOUNTED = (8, 1), (1, 77), (9, 1)


def test_first_look_is_believed_whatever_it_shows():
    assert Guard().doubt(SHARE, frozenset()) == ""


def test_cases_come_and_go():
    guard = Guard()
    for folders in ({"a"}, {"a", "b"}, {"b"}, {"b", "c"}):
        assert guard.doubt(SHARE, frozenset(folders)) == ""


@pytest.mark.parametrize("identity", [SHARE, MOUNT_POINT])
def test_sudden_emptiness_is_not_believed_until_something_is_there(identity):
    guard = Guard()
    guard.doubt(SHARE, frozenset({"a", "b"}))
    assert "suddenly empty; 2 case folders" in guard.doubt(identity, frozenset())
    assert guard.doubt(SHARE, frozenset({"a", "b"})) == ""


def test_another_share_in_its_place_is_not_believed():
    guard = Guard()
    guard.doubt(SHARE, frozenset({"a", "b"}))
    assert "none of the 2 case folders" in guard.doubt(MOUNT_POINT, frozenset({"x"}))
    assert guard.doubt(SHARE, frozenset({"a"})) == ""


def test_the_same_share_mounted_again_is_believed():
    guard = Guard()
    guard.doubt(SHARE, frozenset({"a", "b"}))
    assert guard.doubt(REMOUNTED, frozenset({"b", "c"})) == ""
    assert guard.doubt(REMOUNTED, frozenset({"d"})) == ""


def test_share_mounted_only_after_the_start():
    guard = Guard()
    assert guard.doubt(MOUNT_POINT, frozenset()) == ""
    assert guard.doubt(SHARE, frozenset({"a"})) == ""
