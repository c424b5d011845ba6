"""What a message contains: counts, keys, beams, reasons; no path, no name of a folder."""

import pytest

from mqi_communicator.notify.message import SHOWN, Notification, compose

KEY = "aaaaaaaaaaaa"


def test_a_message_counts_and_lists_its_items():
    made = compose(
        [Notification("needs_person", KEY, 0, "disk full"), Notification("verdict_fail", "bbbbbbbbbbbb", 0, "")]
    )
    assert made.subject == "MQI: 1 action required, 1 verdict fail"
    assert f"case {KEY}: action required: disk full" in made.text
    assert "case bbbbbbbbbbbb: verdict fail\n" in made.text
    assert made.data["counts"] == {"needs_person": 1, "verdict_fail": 1}


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("/data/in/DOE^JOHN/ct.dcm cannot be read", "(path) cannot be read"),
        ("free space below '/home/mqi/work' on gpu1", "free space below '(path)' on gpu1"),
        ("DOE^JOHN/ct 1.dcm: bad", "DOE^JOHN/ct 1.dcm: bad"),
        ("rtplan/plan.dcm is cut", "(path) is cut"),
        ("gamma 3 %/2 mm, 10 MB/s", "gamma 3 %/2 mm, 10 MB/s"),
        ("two\nlines", "two lines"),
    ],
)
def test_paths_are_left_out_of_reasons(why, reason):
    assert Notification("failed", KEY, 1, why).reason == reason


def test_a_reason_that_may_quote_a_file_is_left_out():
    made = compose([Notification("failed", KEY, 0, "DOE^JOHN ct.dcm is cut", quotes=True)])
    assert "DOE" not in made.text + str(made.data)
    assert "see mqi why" in made.text


def test_a_long_list_is_truncated():
    made = compose([Notification("failed", KEY, beam, "x") for beam in range(1, SHOWN + 4)])
    assert made.subject == f"MQI: {SHOWN + 3} failed"
    assert "... and 3 more" in made.text
    assert len(made.data["items"]) == SHOWN


def test_no_items_make_no_message():
    with pytest.raises(ValueError, match="no items"):
        compose([])
