"""The words that leave the house: counts, keys, beams, reasons; no path, no name of a folder."""

import pytest

from mqi_communicator.notify.message import SHOWN, Notification, compose

KEY = "aaaaaaaaaaaa"


def test_a_message_says_how_many_of_what_and_which():
    made = compose(
        [Notification("needs_person", KEY, 0, "disk full"), Notification("verdict_fail", "bbbbbbbbbbbb", 0, "")]
    )
    assert made.subject == "MQI: 1 need a person, 1 verdict fail"
    assert f"case {KEY}: need a person: disk full" in made.text
    assert "case bbbbbbbbbbbb: verdict fail\n" in made.text
    assert made.data["counts"] == {"needs_person": 1, "verdict_fail": 1}


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("/data/in/DOE^JOHN/ct.dcm cannot be read", "(path) cannot be read"),
        ("make space below '/home/mqi/work' on gpu1", "make space below '(path)' on gpu1"),
        ("DOE^JOHN/ct 1.dcm: bad", "DOE^JOHN/ct 1.dcm: bad"),
        ("rtplan/plan.dcm is cut", "(path) is cut"),
        ("gamma 3 %/2 mm, 10 MB/s", "gamma 3 %/2 mm, 10 MB/s"),
        ("two\nlines", "two lines"),
    ],
)
def test_paths_are_left_out_of_reasons(why, said):
    assert Notification("failed", KEY, 1, why).reason == said


def test_a_reason_that_may_quote_a_file_is_not_told_at_all():
    told = compose([Notification("failed", KEY, 0, "DOE^JOHN ct.dcm is cut", quotes=True)])
    assert "DOE" not in told.text + str(told.data)
    assert "see mqi why" in told.text


def test_a_long_list_is_cut_and_says_so():
    told = compose([Notification("failed", KEY, beam, "x") for beam in range(1, SHOWN + 4)])
    assert told.subject == f"MQI: {SHOWN + 3} failed"
    assert "... and 3 more" in told.text
    assert len(told.data["items"]) == SHOWN


def test_nothing_is_no_message():
    with pytest.raises(ValueError, match="nothing"):
        compose([])
