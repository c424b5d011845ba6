"""CT and dose are placed by ImageOrientationPatient and ImagePositionPatient alone, whatever the order of rows, columns
and slices; slices that are slightly uneven are interpolated."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from tests.written import Patient, load, orientations, stack_of, write_ct, write_dose

from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.ct import check_ct, read_ct
from mqi_communicator.dicom.even_slices import even_positions, evenly_spaced
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Grid, Medium
from mqi_communicator.dicom.rtdose import dose_facts, read_rtdose

MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
PATIENT = Patient(np.arange(1, 5 * 4 * 3 + 1).reshape(5, 4, 3), (-3.25, 7.5, -41.0), (1.5, 2.0, 2.5))
GRID = Grid((5, 4, 3), (-3.25, 7.5, -41.0), (1.5, 2.0, 2.5))
AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]


def named(orientation):
    return " ".join(f"{value:g}" for value in orientation)


def test_there_are_24_orientations():
    assert len(orientations()) == 24


@pytest.mark.parametrize("orientation", orientations(), ids=named)
def test_ct_of_any_orientation_is_the_same_volume(orientation, tmp_path):
    ct = read_ct(write_ct(PATIENT, orientation, tmp_path, PatientPosition="FFDL"))
    assert ct.grid == GRID
    np.testing.assert_array_equal(ct.hu, PATIENT.values.astype(np.float32))
    assert (ct.position, ct.notes) == ("FFDL", ())
    assert not ct.hu.flags.writeable
    firsts, _, _ = stack_of(PATIENT, orientation)
    by_position = np.argsort(firsts.sum(axis=1))
    assert ct.sop_instance_uids == tuple(f"1.2.3.{index + 1}" for index in by_position)


@pytest.mark.parametrize("falling", [False, True], ids=["rising", "falling"])
@pytest.mark.parametrize("orientation", orientations(), ids=named)
def test_dose_of_any_orientation_is_the_same_dose(orientation, falling, tmp_path):
    ds = write_dose(PATIENT, orientation, tmp_path / "RD.dcm", falling=falling)
    assert (ds.GridFrameOffsetVector[-1] < 0) is falling
    dose = read_rtdose(tmp_path / "RD.dcm", MEANING)
    assert dose.grid == dose_facts(tmp_path / "RD.dcm").grid == GRID
    np.testing.assert_array_equal(dose.gy, (PATIENT.values * 0.001).astype(np.float32))
    assert dose.gy.flags.c_contiguous
    assert not dose.gy.flags.writeable


@pytest.mark.parametrize("falling", [False, True])
def test_offsets_may_be_coordinates_in_the_axial_form_only(falling, tmp_path):
    """PS3.3 C.8.8.3.2: patient coordinates z only where the orientation is [1 0 0 0 1 0]."""
    for orientation in (AXIAL, [-1, 0, 0, 0, -1, 0], [-1, 0, 0, 0, 1, 0]):
        ds = write_dose(PATIENT, orientation, tmp_path / "RD.dcm", falling=falling)
        z = float(ds.ImagePositionPatient[2])
        ds.GridFrameOffsetVector = [z + float(offset) for offset in ds.GridFrameOffsetVector]
        ds.save_as(tmp_path / "RD.dcm")
        if orientation == AXIAL:
            assert read_rtdose(tmp_path / "RD.dcm", MEANING).grid == GRID
        else:
            with pytest.raises(DicomProblem, match=f"begins with {z:g}, expected 0 for a grid of this orientation"):
                read_rtdose(tmp_path / "RD.dcm", MEANING)


@pytest.mark.parametrize(
    "cosines",
    [
        [1, 0, 0, 1, 0, 0],
        [1, 0, 0, -1, 0, 0],
        [0.9, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0.9998, 0.02],
        [0.7071, 0.7071, 0, -0.7071, 0.7071, 0],
        [0, 0, 0, 0, 1, 0],
    ],
)
def test_no_axes_of_an_oblique_image(cosines):
    assert Axes.of_image(cosines) is None


def test_cosines_may_be_rounded():
    assert Axes.of_image([0.99999999, 4.1e-9, -2e-6, -4.1e-9, 0.9999999, 1e-5]) == Axes((0, 1, 2), (1, 1, 1))


def test_an_oblique_ct_is_refused_by_name(tmp_path):
    paths = write_ct(PATIENT, AXIAL, tmp_path)
    for path in paths:
        ds = pydicom.dcmread(path)
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0.99, 0.14]
        ds.save_as(path)
    _, (problem,) = check_ct(paths)
    assert problem.code == "ct.orientation"
    assert problem.file.endswith("and 4 more CT slices")
    assert "is [1.0, 0.0, 0.0, 0.0, 0.99, 0.14], expected rows and columns along the patient's axes" in str(problem)


def test_slices_of_two_orientations_are_no_volume(tmp_path):
    paths = write_ct(PATIENT, AXIAL, tmp_path)
    ds = pydicom.dcmread(paths[2])
    ds.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    ds.save_as(paths[2])
    _, problems = check_ct(paths)
    assert "differ in their orientation (0020,0037)" in "; ".join(map(str, problems))


def test_a_gap_of_sagittal_slices_is_named_along_x(tmp_path):
    broad = Patient(np.arange(1, 4 * 3 * 6 + 1).reshape(4, 3, 6), (10.0, 0.0, 0.0), (2.0, 2.0, 2.0))
    paths = [p for p in write_ct(broad, SAGITTAL, tmp_path) if not p.name.endswith(".3.dcm")]
    _, (problem,) = check_ct(paths)
    assert problem.code == "ct.missing_slice"
    assert "between x = 12 mm and x = 16 mm (one every 2 mm), first at x = 14 mm" in str(problem)


@pytest.mark.parametrize("position", ["HFX", "AFDR", "SITTING", "HFS\\HFP"])
def test_another_word_than_a_patient_position_is_a_problem(position, tmp_path):
    _, (problem,) = check_ct(write_ct(PATIENT, AXIAL, tmp_path, PatientPosition=position))
    assert problem.code == "ct.position"
    assert "HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL" in str(problem)


def moved(paths, shifts):
    """Move slices along z by so many mm, by ascending z."""
    files = sorted((pydicom.dcmread(path) for path in paths), key=lambda ds: ds.ImagePositionPatient[2])
    for ds, shift in zip(files, shifts, strict=True):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, float(z) + shift]
        ds.save_as(ds.filename)
    return [float(ds.ImagePositionPatient[2]) for ds in files]


@pytest.mark.parametrize("orientation", [AXIAL, [-1, 0, 0, 0, 1, 0]], ids=named)
def test_uneven_slices_are_interpolated_onto_an_even_grid(orientation, tmp_path):
    paths = write_ct(PATIENT, orientation, tmp_path)
    levels = moved(paths, [0, 0.2, 0, 0.1, 0.4])
    ct = read_ct(paths)
    assert ct.grid.spacing[2] == pytest.approx((levels[-1] - levels[0]) / 4)
    expected = np.empty(PATIENT.values.shape)
    for at in np.ndindex(4, 3):
        column = (slice(None), *at)
        expected[column] = np.interp(ct.grid.axes()[0], levels, PATIENT.values[column])
    np.testing.assert_allclose(ct.hu, expected, atol=1e-4)
    (note,) = ct.notes
    assert note == (
        "the CT's slices are unevenly spaced, 2.3 to 2.8 mm; they are interpolated linearly onto slices every 2.6 mm"
    )


def test_slices_too_uneven_to_interpolate_are_refused(tmp_path):
    paths = write_ct(PATIENT, AXIAL, tmp_path)
    moved(paths, [0, 0, 0.6, 0.6, 0.6])
    _, (problem,) = check_ct(paths)
    assert problem.code == "ct.spacing"
    assert "3.1 mm between z = -38.5 mm and z = -35.4 mm, 2.5 mm elsewhere; at most 20 % are interp" in str(problem)


def test_interpolation_is_linear_and_keeps_the_ends():
    positions = [0.0, 0.9, 2.1, 3.0]
    slices = [np.full((2, 2), 10 * at, dtype=np.float32) for at in positions]
    made = list(evenly_spaced(positions, iter(slices)))
    np.testing.assert_allclose([one[0, 0] for one in made], 10 * even_positions(positions), rtol=1e-6)
    np.testing.assert_array_equal(made[0], slices[0])
    np.testing.assert_array_equal(made[-1], slices[-1])


def test_interpolation_reads_one_slice_at_a_time():
    positions, read = [0.0, 0.9, 2.1, 3.0], []

    def slices():
        for at in positions:
            read.append(at)
            yield np.full((1, 1), at, dtype=np.float32)

    made = evenly_spaced(positions, slices())
    next(made)
    assert read == [0.0]
    next(made)
    assert len(read) == 3


def test_the_sample_itself_is_axial():
    assert list(load("CT.0001.dcm").ImageOrientationPatient) == AXIAL
