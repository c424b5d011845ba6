"""A beam file is read as moqui reads it, and what moqui would take wrongly is named with its line."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standin.machine import beam_file as as_moqui_reads_it
from tests.standin.site import BEAM_FILE

from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.moqui.beamfile import parse_beam_file

pytestmark = pytest.mark.pure

NOBODY = Commissioning()
TEXT = (
    "# comment\n[geometry]\nSAD(mm) 2000 1800 # both\naperture(mm) 300 300\n\n[spot]\n"
    "100 100.5 0.6 4 4 0.002 0.002 1e8\n200 200.5 0.6 4 4 0.002 0.002 2e8\n[time]\nI(nA) 2\n"
)


def read(text: str = TEXT):
    return parse_beam_file(text.encode(), NOBODY)


def test_rows_and_geometry():
    found = read()
    assert found.sad == (2000.0, 1800.0)
    assert found.energies == (100.0, 200.0)
    assert found.ratios == (1e8, 2e8)
    assert found.text == TEXT.encode()


def test_line_ends_are_made_plain_because_a_section_with_a_cr_is_none():
    crlf = parse_beam_file(TEXT.replace("\n", "\r\n").encode(), NOBODY)
    assert crlf == read()
    assert as_moqui_reads_it(TEXT.replace("\n", "\r\n"))[1].shape == (0, 8)
    assert as_moqui_reads_it(crlf.text.decode())[1].shape == (2, 8)


@pytest.mark.parametrize(("energy", "inside"), [(99.9, 0), (100.0, 0), (100.01, 1), (150, 1), (200.0, 1), (200.1, 0)])
def test_the_lowest_energy_itself_is_out_of_bounds(energy, inside):
    """It takes the row before the first one: std::prev of the beginning."""
    assert read().covers(energy) is bool(inside)


def test_rows_in_any_order_are_one_table():
    rows = TEXT.splitlines(keepends=True)
    rows[6], rows[7] = rows[7], rows[6]
    assert read("".join(rows)).energies == (100.0, 200.0)


def test_the_tests_own_beam_file_means_the_same_to_both_readers():
    found = parse_beam_file(BEAM_FILE, NOBODY)
    sad, rows = as_moqui_reads_it(BEAM_FILE.decode())
    assert found.sad == sad
    assert np.array_equal(np.array(found.energies, np.float32), rows[:, 0])
    assert np.array_equal(np.array(found.ratios, np.float32), rows[:, 7])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[spot]\n", "[spot] \n", r"line 6: '\[spot\] ' is not a section.*did you mean \[spot\]"),
        ("[spot]\n", "[Spot]\n", r"line 6.*did you mean \[spot\]"),
        ("[spot]\n", "", r"there is no line \[spot\]"),
        ("[geometry]", "[somewhere]", r"line 2: .* not a section"),
        ("[time]\nI(nA) 2", "[geometry]\nSAD(mm) 1 1", r"line 9: \[geometry\] is repeated here"),
        ("SAD(mm) 2000 1800", "SAD (mm) 2000 1800", "line 3: not a number"),
        ("SAD(mm) 2000", "SAD(cm) 2000", r"line 3: unknown name 'SAD\(cm\)'; did you mean SAD\(mm\)\?"),
        ("2000 1800", "0 0", "line 3: SAD.*must be positive"),
        ("2000 1800", "2000", r"line 3: SAD\(mm\) has 1 numbers, expected 2"),
        ("SAD(mm) 2000 1800 # both\n", "", r"\[geometry\] has no line SAD\(mm\)"),
        ("200 200.5", "  \n200 200.5", "line 8: only blanks"),
        ("200 200.5", "  # note\n200 200.5", "line 8: only blanks"),
        ("200 200.5", "100 200.5", "line 8: the energy 100 MeV is repeated here"),
        ("0.002 2e8", "2e8", "line 8: 7 numbers, expected 8: e E dE x y xp yp ratio"),
        ("2e8", "0", "line 8: energies and ratio must be positive"),
        ("200.5 0.6", "200.5 -0.6", "line 8: .*not negative"),
        ("2e8", "inf", "line 8: a number is not finite"),
        ("2e8", "many", "line 8: not a number"),
        ("200 200.5 0.6 4 4 0.002 0.002 2e8\n", "", r"\[spot\] has 1 rows, expected at least 2"),
        (TEXT, "hello", r"no line \[geometry\] and no line \[spot\]"),
        (TEXT, "", "this is not a beam file of moqui"),
        ("I(nA) 2", "I(nA) two", "line 10: not a number"),
    ],
)
def test_each_mistake_is_named(old, new, words):
    with pytest.raises(ValueError, match=words):
        read(TEXT.replace(old, new, 1))


def test_a_section_too_early_loses_its_name():
    swapped = "[spot]\n1 1 1 1 1 1 1 1\n2 2 2 2 2 2 2 2\n[geometry]\nSAD(mm) 1 1\n"
    with pytest.raises(ValueError, match=r"line 4: \[geometry\] must come before \[spot\]"):
        read(swapped)


@given(st.binary(max_size=300) | st.text(alphabet="[]spotgemry \n#0123456789.e-()", max_size=300).map(str.encode))
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(ValueError):
        assert len(parse_beam_file(text, NOBODY).energies) >= 2


def test_the_size_of_a_spot_grows_from_where_protons_start():
    found = read(
        TEXT.replace("4 4 0.002 0.002 1e8", "4 3 0.002 0.004 1e8").replace("4 4 0.002 0.002 2e8", "2 4 0.002 0 2e8")
    )
    assert found.sigma_at(150.0, 0.0) == pytest.approx(3.0)  # x is 3 mm there, y 3.5 mm
    assert found.sigma_at(150.0, 1000.0) == pytest.approx(np.hypot(3.0, 2.0))
    assert found.sigma_at(200.0, 1000.0) == pytest.approx(np.hypot(2.0, 2.0))
    assert np.isnan([found.sigma_at(energy, 0.0) for energy in (100.0, 200.1, np.nan)]).all()
