"""The CT that moqui is sent: the body, as many columns as rows, and no air that the CT did not have where a beam
passes."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.engine_files import beam_files, common_files
from tests.standin.small import SCANNER, beam, layer, moqui, plan

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dose.engine import PreparedCase

pytestmark = pytest.mark.pure

NX, NY, NZ, STEP = 61, 121, 21, 3.0
LOG = (
    "mqi-program moqui\nhistories 100\nfinalizing\nTime taken by MC engine: 5 milli-seconds\n"
    "mqi-asked voxels={voxels} histories=100 factor=2.0\n"
)
SPREAD = ((-15.0, -15.0), (15.0, 15.0), (0.0, 0.0))


def phantom(ny=NY, solid=slice(30, 91), columns=slice(None)):
    """A CT of 61 columns of 3 mm around the origin: water in these rows and columns, air elsewhere."""
    grid = Grid((NZ, ny, NX), (-STEP * 30, -STEP * (ny // 2), -STEP * (NZ // 2)), (STEP, STEP, STEP))
    hu = np.full(grid.shape, -1000, dtype=np.float32)
    hu[:, solid, columns] = 0
    return CTVolume(grid, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)


def shot(gantry, couch=0.0, **changes):
    spots = layer(spots=SPREAD, weights=(1.0, 1.0, 3.0))
    return beam(gantry_angle=gantry, couch_angle=couch, isocenter=(0.0, 0.0, 0.0), layers=(spots,), **changes)


def sent(ct, *beams):
    files = common_files(moqui(), plan(*beams), ct)
    slices = [pydicom.dcmread(BytesIO(data)) for name, data in sorted(files.items()) if "/CT" in name]
    pixels = np.stack([np.frombuffer(one.PixelData, "<i2").reshape(one.Rows, one.Columns) for one in slices])
    return pixels, tuple(map(float, slices[0].ImagePositionPatient))


def on_ct_grid(ct, values, *beams):
    engine = moqui(seeds=1, format="raw")
    log = LOG.format(voxels=values.size)
    products = {"Outputs/beam_3_0_Dose.raw": values.tobytes()}
    return engine.case(PreparedCase(plan(*beams), ct)).read_dose(beams[0].number, products, log).gy


@pytest.mark.parametrize("gantry", [0.0, 90.0, 270.0, 45.0])
@pytest.mark.parametrize(
    ("solid", "kept"),
    [
        (slice(60, 121), slice(60, 121)),  # the patient at the posterior edge: all air is anterior
        (slice(0, 61), slice(0, 61)),
        (slice(30, 90), slice(30, 90)),  # with a margin there would be more rows than columns
        (slice(30, 89), slice(29, 90)),  # as much of it as leaves no more rows than columns
        (slice(40, 70), slice(36, 74)),  # 4 rows, 12 mm
    ],
)
def test_rows_of_air_are_cut_down_to_a_margin_and_to_as_many_columns(gantry, solid, kept):
    ct, one = phantom(solid=solid), shot(gantry)
    pixels, origin = sent(ct, one)
    np.testing.assert_array_equal(pixels, ct.hu[:, kept])
    assert origin == (-90.0, -180.0 + 3 * kept.start, -30.0)
    assert f"voxels={pixels.size} " in beam_files(moqui(), plan(one), one, ct)["asked.txt"].decode()
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    dose = on_ct_grid(ct, values, one)
    np.testing.assert_array_equal(dose[:, kept], (2 * values).astype(np.float32))
    dose[:, kept] = 0
    assert dose.shape == ct.grid.shape
    assert not dose.any()


WIDE = slice(20, 50), slice(10, 40)
TALL = slice(30, 80), slice(15, 30)  # 50 rows, 15 columns and 8 of margin: 27 columns are missing


@pytest.mark.parametrize(
    ("gantries", "part", "rows", "columns"),
    [
        ((0.0,), WIDE, slice(16, 54), slice(6, 44)),
        ((90.0, 45.0), WIDE, slice(16, 54), slice(6, 44)),
        ((0.0, 180.0), TALL, slice(30, 80), slice(0, 50)),  # half on either side, as far as there are columns
        ((90.0, 120.0), TALL, slice(30, 80), slice(0, 50)),  # 11 from the side where none enters, 16 from the other
        ((270.0,), TALL, slice(30, 80), slice(11, 61)),
        ((270.0, 0.0), TALL, slice(30, 80), slice(11, 61)),
        ((90.0,), (slice(30, 80), slice(40, 55)), slice(30, 80), slice(9, 59)),
        ((90.0, 270.0), (slice(30, 80), slice(20, 35)), slice(30, 80), slice(2, 52)),
    ],
)
def test_the_body_is_sent_with_a_margin_and_as_many_columns_as_rows(gantries, part, rows, columns):
    """The more columns come from the side where no beam enters: air behind the patient takes no range."""
    ct = phantom(solid=part[0], columns=part[1])
    ct.hu[:, :, : part[1].start] = ct.hu[:, :, part[1].stop :] = -1000
    beams = [shot(gantry, number=3 + n) for n, gantry in enumerate(gantries)]
    pixels, origin = sent(ct, *beams)
    assert origin == (-90.0 + 3 * columns.start, -180.0 + 3 * rows.start, -30.0)
    np.testing.assert_array_equal(pixels, ct.hu[:, rows, columns])
    engine = moqui(gpu_base_mib=1, gpu_bytes_per_voxel=65536)
    assert engine.case(PreparedCase(plan(), ct)).gpu_demand().mib == 1 + math.ceil(pixels.size / 16)
    assert f"voxels={pixels.size} " in beam_files(engine, plan(*beams), beams[0], ct)["asked.txt"].decode()
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    dose = on_ct_grid(ct, values, *beams)
    np.testing.assert_array_equal(dose[:, rows, columns], (2 * values).astype(np.float32))
    assert np.count_nonzero(dose) == pixels.size


def test_a_couch_and_a_mask_are_sent():
    ct = phantom(solid=slice(40, 70), columns=slice(20, 40))
    ct.hu[:, 90, 10:50] = -850.0  # the cover of a couch
    ct.hu[3:5, 30, 25:30] = -400.0
    pixels, origin = sent(ct, shot(90.0))
    np.testing.assert_array_equal(pixels, ct.hu[:, 30:91, 0:61])  # all columns, so that no margin of rows is left
    assert origin == (-90.0, -90.0, -30.0)


def test_protons_start_where_there_is_air_that_is_not_sent():
    ct = phantom(solid=slice(50, 70))
    one = shot(0.0, snout_position=60.0)  # 110 mm above the isocentre, 80 mm above the skin
    assert len(sent(ct, one)[0][0]) == 28
    with pytest.raises(DicomProblem, match="start protons -20 mm from the isocentre") as caught:
        sent(ct, shot(0.0, snout_position=-70.0))
    assert caught.value.code == "dose.snout"


def test_a_ct_of_nothing_but_air_is_sent_whole():
    ct = phantom(ny=61, solid=slice(0, 0))
    assert sent(ct, shot(0.0))[0].shape == ct.grid.shape


def test_a_large_ct_is_cut_quickly():
    hu = np.full((120, 512, 512), -1000, dtype=np.int16)
    hu[:, 150:350, 100:400] = 0
    grid = Grid(hu.shape, (-250.0, -250.0, -240.0), (0.977, 0.977, 2.0))
    ct = CTVolume(grid, hu.astype(np.float32), "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    begun = time.process_time()
    assert (
        moqui(gpu_base_mib=1, gpu_bytes_per_voxel=65536).case(PreparedCase(plan(), ct)).gpu_demand().mib
        == 1 + 120 * 222 * 322 / 16
    )
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("gantry", [0.0, 180.0])
def test_columns_of_air_are_added_where_no_beam_passes(gantry):
    ct, one = phantom(ny=71, solid=slice(4, 69)), shot(gantry)  # 4 and 2 rows of air, 4 rows too many remain
    pixels, origin = sent(ct, one)
    assert pixels.shape == (21, 65, 65)
    np.testing.assert_array_equal(pixels[:, :, :61], ct.hu[:, 4:69])
    assert (pixels[:, :, 61:] == -1000).all()
    assert origin == (-90.0, -105.0 + 12, -30.0)
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    np.testing.assert_array_equal(on_ct_grid(ct, values, one)[:, 4:69], (2 * values[:, :, :61]).astype(np.float32))


def test_columns_of_air_are_added_on_the_side_where_no_beam_passes():
    ct, one = phantom(ny=71, solid=slice(0, 71)), shot(0.0)
    off = replace(one, isocenter=(70.0, 0.0, 0.0))  # 20 mm from the last column
    pixels, origin = sent(ct, off)
    np.testing.assert_array_equal(pixels[:, :, 10:], ct.hu)
    assert (pixels[:, :, :10] == -1000).all()
    assert origin == (-120.0, -105.0, -30.0)
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    np.testing.assert_array_equal(on_ct_grid(ct, values, off), (2 * values[:, :, 10:]).astype(np.float32))


@pytest.mark.parametrize("gantry", [90.0, 270.0, 45.0, 315.0])
def test_where_a_beam_passes_no_column_is_added_and_the_case_is_refused(gantry):
    ct, one = phantom(solid=slice(0, 121)), shot(gantry)
    for ask in (lambda: common_files(moqui(), plan(one), ct), lambda: beam_files(moqui(), plan(one), one, ct)):
        with pytest.raises(DicomProblem, match=r"121 rows and 61 columns, 121 rows without .* beam 3 passes") as caught:
            ask()
        assert caught.value.code == "dose.rows"
    with pytest.raises(DicomProblem, match="beam 3 passes"):
        sent(ct, shot(0.0, number=1), one)


@pytest.mark.parametrize(("where", "hu"), [((7, 10, 20), -899.0), ((slice(None), 10), -970.0)])
def test_a_row_with_more_than_air_in_any_slice_is_kept(where, hu):
    ct = phantom(solid=slice(60, 121))
    ct.hu[where] = hu
    with pytest.raises(DicomProblem, match="121 rows and 61 columns, 111 rows without"):
        sent(ct, shot(90.0))


def test_noise_and_padding_outside_the_scan_are_air():
    ct = phantom(solid=slice(60, 121))
    ct.hu[:, :60] = np.random.default_rng(1).normal(-995, 15, ct.hu[:, :60].shape)
    ct.hu[:, :60, :3] = -3024
    assert sent(ct, shot(90.0))[0].shape == (21, 61, 61)
