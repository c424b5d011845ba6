"""A dose that is no conformant RTDOSE is read for its values alone, and refused where it contradicts the grid."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from mqi_communicator.dicom.foreign_dose import read_foreign_dose
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Grid

pytestmark = pytest.mark.pure

GRID = Grid((2, 3, 4), (-10.0, 20.0, -30.0), (2.0, 2.0, 3.0))
STORED = np.linspace(0, 65535, 24).astype("<u2").reshape(GRID.shape)


def written(**changes) -> bytes:
    """As a fork writes it: no frames, no plan, no beam. A value of None takes the element away."""
    ds = Dataset()
    output = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2",
        "SOPInstanceUID": "1.2.3",
        "Modality": "RTDOSE",
        "Rows": 3,
        "Columns": 4,
        "PixelSpacing": ["2.000000", "2.000000"],
        "ImagePositionPatient": ["-10.000000", "20.000000", "-30.000000"],
        "BitsAllocated": 16,
        "PixelRepresentation": 0,
        "DoseGridScaling": "0.001",
        "PixelData": STORED.tobytes(),
        **changes,
    }
    held = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in output.items():
            if value is not None:
                setattr(ds, keyword, value)
        if "PixelData" in ds:
            ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.save_as(held, enforce_file_format=True)
    return held.getvalue()


def read(data: bytes, grid: Grid = GRID):
    return read_foreign_dose("beam_1_0_Dose.dcm", data, grid)


def test_values_are_integers_times_the_scaling():
    dose = read(written())
    assert dose.shape == GRID.shape
    assert dose[1, 2, 3] == pytest.approx(65.535)
    assert np.allclose(dose, STORED * 0.001)


def test_32_bit_is_read():
    wide = (STORED.astype("<u4") * 1000).tobytes()
    assert read(written(BitsAllocated=32, PixelData=wide)).max() == pytest.approx(65535.0)


@pytest.mark.parametrize("lacking", ["PixelSpacing", "ImagePositionPatient", "PixelRepresentation"])
def test_what_it_does_not_say_cannot_contradict(lacking):
    assert read(written(**{lacking: None})).max() > 0


def test_half_a_voxel_less_is_the_edge_of_the_same_grid():
    assert read(written(ImagePositionPatient=["-11", "19", "-31.5"])).max() > 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Rows": 4, "Columns": 3}, "4 x 3 pixels, expected 3 x 4"),
        ({"PixelSpacing": ["2.5", "2.0"]}, "PixelSpacing"),
        ({"ImagePositionPatient": ["-10", "20", "30"]}, "ImagePositionPatient"),
        ({"PixelData": STORED.tobytes()[:-8]}, "has 40 bytes, expected 48 from its rows, columns and frames"),
        ({"PixelData": STORED.tobytes() * 2}, "has 96 bytes"),
        ({"PixelData": None}, "has no pixels"),
        ({"DoseGridScaling": None}, "DoseGridScaling .* is missing"),
        ({"DoseGridScaling": "0"}, "expected more than 0"),
        ({"DoseGridScaling": "nan"}, "DoseGridScaling .* is nan, expected a finite number"),
        ({"BitsAllocated": 8}, "not 16 or 32 bit unsigned"),
        ({"PixelRepresentation": 1}, "not 16 or 32 bit unsigned"),
        ({"PixelData": (STORED // 2000).tobytes()}, "stored in 32 steps, expected at least 1000"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "is not an RT Dose"),
    ],
)
def test_what_is_no_dose_on_this_grid_is_refused(changed, words):
    with pytest.raises(DicomProblem, match=words):
        read(written(**changed))


def test_a_dose_of_nothing_is_left_to_others_to_refuse():
    assert read(written(PixelData=bytes(48))).max() == 0


@pytest.mark.parametrize("data", [b"", b"no dicom", written()[:300], written()[:-1], b"\0" * 5000])
def test_what_is_cut_or_no_dicom_is_refused(data):
    with pytest.raises(DicomProblem):
        read(data)
