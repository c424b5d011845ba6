"""A dose is read on the grid that was sent, or refused with the reason; two runs determine the noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standin.small import GRID

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.moqui.flavour import Origin
from mqi_communicator.dose.moqui.output import mean_and_uncertainty, read_values

pytestmark = pytest.mark.pure

VALUES = np.arange(60, dtype="<f8").reshape(GRID.shape)
EVERYWHERE = np.ones(VALUES.shape, dtype=bool)
MHD = b"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix 1 0 0 0 1 0 0 0 1
Offset -10 20 -30
CenterOfRotation 0 0 0
AnatomicOrientation = RAI
DimSize = 5 3 4
ElementType = MET_DOUBLE
ElementSpacing = 2 2 3
ElementDataFile = b_Dose.raw
"""
MHA = (
    MHD.replace(b"Offset -10 20 -30", b"Origin = -10 20 -30").replace(b"Matrix 1", b"Matrix = 1") + b"HeaderSize = -1\n"
).replace(b"ElementDataFile = b_Dose.raw\nHeaderSize = -1\n", b"HeaderSize = -1\nElementDataFile = LOCAL\n")


def read(dose_format="mhd", values=VALUES, header=MHD, origin=Origin.EITHER, grid: Grid = GRID):
    raw = np.asarray(values, dtype="<f8").tobytes()
    products = {
        "mhd": {"O/b_Dose.mhd": header, "O/b_Dose.raw": raw},
        "mha": {"O/b_Dose.mha": header + raw},
        "raw": {"O/b_Dose.raw": raw},
    }[dose_format]
    return read_values("O/b_Dose", dose_format, products, grid, origin)


@pytest.mark.parametrize(("dose_format", "header"), [("mhd", MHD), ("mha", MHA), ("raw", b"")])
def test_x_runs_fastest_then_y_then_z(dose_format, header):
    found = read(dose_format, header=header)
    assert found.shape == GRID.shape
    assert found[1, 2, 3] == 1 * 15 + 2 * 5 + 3
    assert found.dtype == np.float64


def test_the_origin_without_its_equals_sign_is_read():
    moved = MHD.replace(b"Offset -10 20 -30", b"Offset -10 20 -33")
    with pytest.raises(Permanent, match=r"Offset is '-10 20 -33', expected -10 20 -30 or -11 19 -31.5"):
        read(header=moved)


@pytest.mark.parametrize(
    ("origin", "offset", "fits"),
    [
        (Origin.CENTRE, b"-10 20 -30", True),
        (Origin.CENTRE, b"-11 19 -31.5", False),
        (Origin.EDGE, b"-11 19 -31.5", True),
        (Origin.EDGE, b"-10 20 -30", False),
        (Origin.EITHER, b"-10 20 -30", True),
        (Origin.EITHER, b"-11 19 -31.5", True),
        (Origin.EITHER, b"-11 20 -31.5", False),  # a mixture is neither
        (Origin.EITHER, b"0 0 0", False),
        (Origin.EITHER, b"-10 20", False),
        (Origin.EITHER, b"x y z", False),
    ],
)
def test_centre_or_edge_as_the_flavour_has_it(origin, offset, fits):
    header = MHD.replace(b"-10 20 -30", offset)
    if fits:
        assert (read(header=header, origin=origin) == VALUES).all()
        return
    with pytest.raises(Permanent, match="Offset is"):
        read(header=header, origin=origin)


def test_six_digits_of_single_precision_are_near_enough():
    grid = Grid(GRID.shape, (-107.765625, 20.0, -30.34), (2.0, 2.0, 3.0))
    assert read(header=MHD.replace(b"-10 20 -30", b"-107.766 20 -30.34"), grid=grid).max() == 59


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"DimSize = 5 3 4", b"DimSize = 4 3 5", "DimSize is '4 3 5', expected 5 3 4"),
        (b"ElementSpacing = 2 2 3", b"ElementSpacing = 2 3 2", "ElementSpacing"),
        (b"MET_DOUBLE", b"MET_SHORT", "ElementType is 'MET_SHORT'"),
        (b"MSB = False", b"MSB = True", "BinaryDataByteOrderMSB"),
        (b"b_Dose.raw", b"c_Dose.raw", "ElementDataFile"),
        (b"NDims = 3", b"NDims = 2", "NDims"),
        (MHD, b"", "NDims is None"),
    ],
)
def test_an_image_of_another_grid_does_not_count(old, new, words):
    with pytest.raises(Permanent, match=words):
        read(header=MHD.replace(old, new))


def test_single_precision_of_a_converter_is_read_by_its_word():
    products = {"O/b_Dose.mhd": MHD.replace(b"DOUBLE", b"FLOAT"), "O/b_Dose.raw": VALUES.astype("<f4").tobytes()}
    assert read_values("O/b_Dose", "mhd", products, GRID, Origin.EITHER).max() == 59


@pytest.mark.parametrize("dose_format", ["mhd", "raw"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(60), "zero everywhere"),
        ([np.nan] + [1.0] * 59, "not finite"),
        ([np.inf] + [1.0] * 59, "not finite"),
        ([-1.0] + [1.0] * 59, "negative"),
        (np.ones(59), "472 bytes of values, expected 480"),
        (np.ones(61), "488 bytes"),
        ([], "0 bytes"),
    ],
)
def test_a_dose_that_is_none_does_not_count(dose_format, values, words):
    with pytest.raises(Permanent, match=words):
        read(dose_format, values)


def test_an_mha_that_is_cut_in_its_header_or_values_does_not_count():
    whole = MHA + VALUES.tobytes()
    for cut, words in ((100, "no header"), (len(MHA), "0 bytes"), (len(whole) - 8, "472 bytes")):
        with pytest.raises(Permanent, match=words):
            read_values("O/b_Dose", "mha", {"O/b_Dose.mha": whole[:cut]}, GRID, Origin.EITHER)


def test_a_file_that_did_not_come_home_is_named():
    with pytest.raises(Permanent, match=r"O/b_Dose\.raw was not fetched"):
        read_values("O/b_Dose", "mhd", {"O/b_Dose.mhd": MHD}, GRID, Origin.EITHER)


def test_one_run_tells_no_uncertainty():
    mean, uncertainty = mean_and_uncertainty([VALUES], EVERYWHERE)
    assert (mean == VALUES).all()
    assert uncertainty is None


def test_two_runs_tell_it_from_their_difference():
    first, second = np.full((2, 2, 2), 1.02), np.full((2, 2, 2), 0.98)
    mean, uncertainty = mean_and_uncertainty([first, second], np.ones(first.shape, dtype=bool))
    assert mean == pytest.approx(1.0)
    assert uncertainty == pytest.approx(0.02)  # |d1 - d2| / (d1 + d2)


@pytest.mark.parametrize("runs", [2, 3, 5])
@pytest.mark.parametrize("sigma", [0.005, 0.03])
def test_it_is_the_noise_of_the_mean(runs, sigma):
    """Known noise per run: the mean of n runs has 1/sqrt(n) of it."""
    rng = np.random.default_rng(7)
    truth = np.full((30, 30, 30), 2.0)
    doses = [truth * (1 + sigma * rng.standard_normal(truth.shape)) for _ in range(runs)]
    _, uncertainty = mean_and_uncertainty(doses, np.ones(doses[0].shape, dtype=bool))
    assert uncertainty == pytest.approx(sigma / np.sqrt(runs), rel=0.02)


def test_low_dose_does_not_count():
    first = np.array([[[1.0, 0.4]]])
    second = np.array([[[1.02, 0.1]]])
    assert mean_and_uncertainty([first, second], np.ones(first.shape, dtype=bool))[1] == pytest.approx(0.01 / 1.01)


@given(st.integers(2, 4))
def test_runs_that_are_equal_tell_nothing(runs):
    with pytest.raises(Permanent, match="gave the same dose") as caught:
        mean_and_uncertainty([VALUES] * runs, EVERYWHERE)
    assert "RandomSeed" in caught.value.advice
