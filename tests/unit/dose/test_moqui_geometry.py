"""The CT that moqui is sent: no row nor column of air that the CT did not have where a beam passes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.standin.small import SCANNER, beam, layer, moqui, plan

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Grid

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
    files = moqui().common_files(plan(*beams), ct)
    slices = [pydicom.dcmread(BytesIO(data)) for name, data in sorted(files.items()) if "/CT" in name]
    pixels = np.stack([np.frombuffer(one.PixelData, "<i2").reshape(one.Rows, one.Columns) for one in slices])
    return pixels, tuple(map(float, slices[0].ImagePositionPatient))


def home(ct, values, *beams):
    engine = moqui(seeds=1, format="raw")
    log = LOG.format(voxels=values.size)
    return engine.read_dose(plan(*beams), beams[0], ct, {"Outputs/beam_3_0_Dose.raw": values.tobytes()}, log).gy


@pytest.mark.parametrize("gantry", [0.0, 90.0, 270.0, 45.0])
@pytest.mark.parametrize(
    ("solid", "kept"),
    [
        (slice(60, 121), slice(60, 121)),  # the patient at the posterior edge: all air is anterior
        (slice(0, 61), slice(0, 61)),
        (slice(40, 70), slice(40, 101)),  # anterior first, then as many posterior rows as are still too many
        (slice(70, 101), slice(60, 121)),  # no more than is needed
    ],
)
def test_rows_of_air_are_cut_until_there_are_as_many_columns(gantry, solid, kept):
    ct, one = phantom(solid=solid), shot(gantry)
    pixels, origin = sent(ct, one)
    np.testing.assert_array_equal(pixels, ct.hu[:, kept])
    assert origin == (-90.0, -180.0 + 3 * kept.start, -30.0)
    assert f"voxels={21 * 61 * 61} " in moqui().beam_files(plan(one), one, ct)["asked.txt"].decode()
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    dose = home(ct, values, one)
    np.testing.assert_array_equal(dose[:, kept], (2 * values).astype(np.float32))
    dose[:, kept] = 0
    assert dose.shape == ct.grid.shape
    assert not dose.any()


def test_gpu_memory_is_asked_for_the_ct_that_is_sent():
    engine = moqui(gpu_base_mib=1, gpu_bytes_per_voxel=1024)
    demands = [engine.gpu_demand(ct) for ct in (phantom(), phantom(ny=61, solid=slice(0, 61)))]
    assert demands[0] == demands[1]


@pytest.mark.parametrize("gantry", [0.0, 180.0])
def test_columns_of_air_are_added_where_no_beam_passes(gantry):
    ct, one = phantom(ny=71, solid=slice(4, 69)), shot(gantry)  # 4 and 2 rows of air, 4 rows too many remain
    pixels, origin = sent(ct, one)
    assert pixels.shape == (21, 65, 65)
    np.testing.assert_array_equal(pixels[:, :, :61], ct.hu[:, 4:69])
    assert (pixels[:, :, 61:] == -1000).all()
    assert origin == (-90.0, -105.0 + 12, -30.0)
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    np.testing.assert_array_equal(home(ct, values, one)[:, 4:69], (2 * values[:, :, :61]).astype(np.float32))


def test_columns_of_air_are_added_on_the_side_where_no_beam_passes():
    ct, one = phantom(ny=71, solid=slice(0, 71)), shot(0.0)
    off = replace(one, isocenter=(70.0, 0.0, 0.0))  # 20 mm from the last column
    pixels, origin = sent(ct, off)
    np.testing.assert_array_equal(pixels[:, :, 10:], ct.hu)
    assert (pixels[:, :, :10] == -1000).all()
    assert origin == (-120.0, -105.0, -30.0)
    values = 1.0 + np.arange(pixels.size, dtype="<f8").reshape(pixels.shape)
    np.testing.assert_array_equal(home(ct, values, off), (2 * values[:, :, 10:]).astype(np.float32))


@pytest.mark.parametrize("gantry", [90.0, 270.0, 45.0, 315.0])
def test_where_a_beam_passes_no_column_is_added_and_the_case_is_refused(gantry):
    ct, one = phantom(solid=slice(0, 121)), shot(gantry)
    for ask in (lambda: moqui().common_files(plan(one), ct), lambda: moqui().beam_files(plan(one), one, ct)):
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
