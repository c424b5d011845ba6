"""Whole logs of MCsquare (OpenTPS 3.0.0), recorded on a CT with wide air around the patient or with none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqi_communicator.dose.engine import Accepted, Refused
from mqi_communicator.dose.mcsquare.runlog import judge, read_progress

LOGS = Path(__file__).parents[2] / "fixtures" / "mcsquare"
DOSE, TIGHT = 256_000, 64_000  # bytes


def log(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def judged(text: str, size: int = DOSE) -> Accepted | Refused:
    return judge(0, text, {"Outputs/Dose.mhd": 208, "Outputs/Dose.raw": size})


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
