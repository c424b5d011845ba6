"""The RTDOSE that is delivered: conformant, the patient's own, and the same bytes each time."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from mqi_communicator.case.faults import Permanent
from mqi_communicator.demo.sample import sample_files
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose

GRID = Grid((5, 7, 9), (-12.5, 3.0, -40.25), (2.5, 2.0, 3.1))
PHYSICAL = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
ORIGIN = Origin("abcdefghijkm", "abcdefghijkm-b2-r1", "MCsquare 1.0", "mqi-communicator 0.1.0")


@pytest.fixture
def plan(tmp_path):
    for name, content in sample_files(size="tiny").items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if pydicom.dcmread(path, stop_before_pixels=True).Modality == "RTPLAN":
            return path
    raise AssertionError("the sample has no plan")


def dose_of(beam=2, dose_type=PHYSICAL):
    gy = np.random.default_rng(7).uniform(0, 2.9, GRID.shape).astype(np.float32)
    return Dose(GRID, gy, dose_type, beam, 0.01)


def write(tmp_path, plan, dose=None, origin=ORIGIN, name="dose.dcm"):
    target = tmp_path / name
    write_rtdose(target, dose or dose_of(), origin, plan=plan, frame_of_reference_uid="1.2.840.99.7")
    return target


@pytest.mark.parametrize("beam", [2, None])
@pytest.mark.parametrize("biology", list(Biology))
def test_dciodvfy_finds_no_error(tmp_path, plan, beam, biology):
    dose_type = replace(PHYSICAL, biology=biology)
    target = write(tmp_path, plan, dose_of(beam, dose_type), replace(ORIGIN, not_for_qa="no commissioned beam model"))
    output = subprocess.run(["dciodvfy", str(target)], capture_output=True, text=True, check=False)
    assert "RTDose" in output.stderr
    assert "Error" not in output.stderr, output.stderr
    assert output.returncode == 0


def test_values_and_places_come_back(tmp_path, plan):
    dose = dose_of()
    ds = pydicom.dcmread(write(tmp_path, plan, dose))
    back = ds.pixel_array * float(ds.DoseGridScaling)
    assert np.abs(back - dose.gy).max() <= dose.gy.max() / 65535
    assert [float(v) for v in ds.ImagePositionPatient] == list(GRID.origin)
    assert [float(v) for v in ds.PixelSpacing] == [2.0, 2.5]
    assert [float(v) for v in ds.GridFrameOffsetVector] == pytest.approx([0, 3.1, 6.2, 9.3, 12.4])
    assert (ds.DoseUnits, ds.DoseType, ds.DoseSummationType) == ("GY", "PHYSICAL", "BEAM")
    assert ds.FrameOfReferenceUID == "1.2.840.99.7"


def test_it_is_the_plans_patient_study_and_beam(tmp_path, plan):
    source, ds = pydicom.dcmread(plan), pydicom.dcmread(write(tmp_path, plan))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID"):
        assert ds[keyword].value == source[keyword].value
    (reference,) = ds.ReferencedRTPlanSequence
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    (group,) = reference.ReferencedFractionGroupSequence
    assert [b.ReferencedBeamNumber for b in group.ReferencedBeamSequence] == [2]
    whole = pydicom.dcmread(write(tmp_path, plan, dose_of(None)))
    assert "ReferencedFractionGroupSequence" not in whole.ReferencedRTPlanSequence[0]


def test_a_repeated_step_writes_the_same_bytes_and_another_run_another_object(tmp_path, plan):
    first, again = write(tmp_path, plan), write(tmp_path, plan, name="again.dcm")
    assert first.read_bytes() == again.read_bytes()
    second = write(tmp_path, plan, origin=replace(ORIGIN, token="abcdefghijkm-b2-r2"), name="second.dcm")
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in (first, second)}
    series = {pydicom.dcmread(path).SeriesInstanceUID for path in (first, second)}
    assert (len(uids), len(series)) == (2, 1)


def test_what_differs_in_anything_is_another_object(tmp_path, plan):
    """An archive keeps the first of two objects with one UID: what was judged again would be lost."""
    dose, moved = dose_of(), replace(GRID, origin=(-12.5, 3.0, -40.0))
    louder, other = replace(dose, gy=dose.gy * np.float32(5)), dose.gy.copy()
    other[1, 2, 3] /= 2
    written = [
        write(tmp_path, plan, *what, name=f"{number}.dcm")
        for number, what in enumerate(
            [
                (dose, ORIGIN),
                (replace(dose, dose_type=replace(PHYSICAL, medium=Medium.WATER)), ORIGIN),
                (replace(dose, dose_type=replace(PHYSICAL, biology=Biology.RBE)), ORIGIN),
                (replace(dose, dose_type=replace(PHYSICAL, extent=Extent.FRACTION)), ORIGIN),
                (louder, ORIGIN),  # the same integers, another scaling
                (replace(dose, gy=other), ORIGIN),
                (replace(dose, grid=moved), ORIGIN),
                (replace(dose, beam_number=None), ORIGIN),
                (dose, replace(ORIGIN, not_for_qa="no commissioned beam model")),
                (dose, replace(ORIGIN, not_for_qa="no planned dose")),
                (dose, replace(ORIGIN, engine="MCsquare 1.1")),
            ]
        )
    ]
    found = [pydicom.dcmread(path) for path in written]
    assert len({ds.SOPInstanceUID for ds in found}) == len(written)
    assert {ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID for ds in found} == {True}
    assert len({ds.SeriesInstanceUID for ds in found}) == 1


def test_an_unjudged_dose_is_watermarked(tmp_path, plan):
    judged = pydicom.dcmread(write(tmp_path, plan))
    assert judged.DoseComment == "independent recalculation by MCsquare 1.0"
    reason = "the beam model of machine X is the bundled generic one"
    ds = pydicom.dcmread(write(tmp_path, plan, origin=replace(ORIGIN, not_for_qa=reason)))
    assert ds.DoseComment.startswith("NOT FOR QA: ")
    assert ds.SeriesDescription.startswith("NOT FOR QA: ")
    assert reason in ds.ImageComments


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_a_dose_that_is_no_dose_is_refused_and_leaves_nothing(tmp_path, plan, bad):
    dose = dose_of()
    dose.gy[1, 2, 3] = bad
    with pytest.raises(Permanent, match="cannot be written"):
        write(tmp_path, plan, dose)
    assert list(tmp_path.glob("dose.dcm*")) == []


def test_a_dose_of_zero_is_refused(tmp_path, plan):
    with pytest.raises(Permanent, match="from 0 to 0 Gy"):
        write(tmp_path, plan, replace(dose_of(), gy=np.zeros(GRID.shape, dtype=np.float32)))
