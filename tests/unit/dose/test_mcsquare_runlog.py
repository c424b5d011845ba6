"""Whole logs of MCsquare (OpenTPS 3.0.0), recorded on a CT with wide air around the patient or with none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.doing import looked_at

from mqi_communicator.dose.engine import Accepted, Refused
from mqi_communicator.dose.mcsquare.runlog import check_whole, judge, read_progress

LOGS = Path(__file__).parents[2] / "fixtures" / "mcsquare"
DOSE, TIGHT = 256_000, 64_000  # bytes


def log(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def judged(text: str, size: int = DOSE) -> Accepted | Refused:
    return judge(0, text, {"Outputs/Dose.mhd": 208, "Outputs/Dose.raw": size}, 1)


@pytest.mark.parametrize(
    ("name", "size", "histories", "outside", "uncertainty"),
    [
        ("no_halo", DOSE, 5120, 0, 0.0356),
        ("halo", TIGHT, 5120, 92, 0.0723),
        ("target", DOSE, 5120, 0, 0.0356),
        ("target_halo", TIGHT, 11264, 227, 0.0497),
        ("target_most_primaries", DOSE, 500192, 0, 0.0035),
    ],
)
def test_every_way_in_which_it_counts_its_protons_is_read(name, size, histories, outside, uncertainty):
    accepted = judged(log(name), size)
    assert isinstance(accepted, Accepted), accepted
    facts = accepted.facts
    assert (facts["histories"], facts["outside"], facts["uncertainty"]) == (histories, outside, uncertainty)


@pytest.mark.parametrize("name", ["nothing_reached", "target_nothing_reached"])
def test_a_run_none_of_whose_protons_reached_the_ct_is_refused(name):
    refused = judged(log(name))
    assert isinstance(refused, Refused)
    assert "100 % of the protons started outside" in refused.why
    without = judged(log(name).replace("(5120 generated outside the geometry)", ""))
    assert isinstance(without, Refused)
    assert "no statistical uncertainty" in without.why


def test_an_uncertainty_that_ends_as_no_number_is_none_whatever_came_before():
    text = log("no_halo").replace("(stat uncertainty: 3.56 %)", "(stat uncertainty: -nan %)")
    assert isinstance(judged(text), Refused)


@pytest.mark.parametrize(
    ("name", "target", "percent", "uncertainty"),
    [
        ("no_halo", None, 100, 0.0356),
        ("nothing_reached", None, 100, None),
        ("target", 0.05, 100, 0.0356),
        ("target_nothing_reached", 0.05, None, None),
    ],
)
def test_progress_is_read_from_what_it_really_prints(name, target, percent, uncertainty):
    seen = read_progress(log(name), target)
    assert (seen.percent, seen.uncertainty) == (percent, uncertainty)


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        (" Warning : Material label 99 is not defined ", True),
        ('Warning: HU to density conversion data are not sorted in ascending order in "x".  This may lead', True),
        (' ERROR: File "x" is missing! ', True),
        (" Warning: Num_Threads is set to 9 but only 2 processing units are available", False),
    ],
)
def test_complaints_of_its_input_are_told_from_the_one_of_its_host(line, refused):
    answer = judged(log("no_halo").replace(" 10.0 % ", line))
    assert isinstance(answer, Refused) is refused


def test_a_long_log_is_judged_by_what_is_seen_of_it_and_then_by_all_of_it():
    long = log("target_most_primaries")
    assert judged(long) == judged(looked_at(long, 512)), "the end says all that is told of a run"
    for size in (64, 100, 150, 200, 256):
        assert isinstance(judged(looked_at(long, size)), Accepted), size
    early = long.replace("batch 2 completed ", " Error: of the first lines", 1)
    assert isinstance(judged(looked_at(early, 256)), Refused)
    hidden = long.replace("batch 2 completed \nbatch 3", "batch 2 completed \n Error: unseen\nbatch 3")
    assert "unseen" not in looked_at(hidden.replace(" Error: unseen", " Error: unseen", 1), 64)
    assert isinstance(judged(looked_at(hidden, 64)), Accepted)
    assert "unseen" in (check_whole(hidden) or "")
    assert isinstance(judged(hidden), Refused)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("Total computation time", "no end mark"),
        ("Nbr primaries simulated", "no protons"),
        ("stat uncertainty", "no statistical uncertainty"),
    ],
)
def test_the_whole_log_must_say_everything_whatever_a_program_printed(lost, words):
    text = log("no_halo").replace(lost, "nothing") + "\nmqi-cut 100\n"
    assert words in (check_whole(text) or "")
    assert check_whole(log("no_halo")) is None
