"""What is read of a log of which something was left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doing import looked_at

from mqi_communicator.dose.log_excerpt import pieces

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", [""]),
        ("a\nb", ["a\nb"]),
        ("a\n\nmqi-cut 5\nxx\nb\n", ["a\n", "b\n"]),
        ("a\n12\nmqi-cut 5\n34\nb", ["a\n", "b"]),
        ("no line\nmqi-cut 5\nnone", ["", ""]),
        ("a\n\nmqi-cut 5\nx\nb\nc\nmqi-cut 6\nd\ne\n", ["a\n", "b\n", "e\n"]),
        ("a mqi-cut 5\n", ["a mqi-cut 5\n"]),
    ],
)
def test_lines_that_were_cut_through_are_dropped(log, found):
    assert pieces(log) == found


@given(st.lists(st.integers(0, 10**6), max_size=60), st.integers(1, 100))
def test_every_line_that_is_left_is_one_of_the_log(numbers, size):
    log = "".join(f"n {number}\n" for number in numbers)
    lines = log.split("\n")
    found = pieces(looked_at(log, size))
    assert len(found) == 1 + (len(log) > 2 * size)
    for piece in found:
        assert set(piece.split("\n")) <= {*lines, ""}
