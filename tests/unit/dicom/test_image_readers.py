"""CT, structure sets and planned doses are read to the last number, or refused by name."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from tests.written import FILES

from mqi_communicator.demo.truth import TINY
from mqi_communicator.dicom.ct import check_ct, read_ct
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Medium
from mqi_communicator.dicom.rtdose import dose_facts, read_rtdose
from mqi_communicator.dicom.structures import read_structures

MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
PLAN_DOSE = next(name for name in FILES if name.startswith("RD") and "beam" not in name)
BEAM_DOSE = next(name for name in FILES if name.startswith("RD") and "beam" in name)


def load(name):
    return pydicom.dcmread(io.BytesIO(FILES[name]))


@pytest.fixture
def slices():
    return [load(name) for name in sorted(FILES) if name.startswith("CT")]


@pytest.fixture
def write(tmp_path):
    def save(datasets):
        paths = [tmp_path / f"CT.{number:04d}.dcm" for number, _ in enumerate(datasets, start=1)]
        for path, data in zip(paths, datasets, strict=True):
            data.save_as(path)
        return paths

    return save


def test_volume_equals_what_pydicom_reads_slice_by_slice(slices, write):
    slices[3].RescaleIntercept = -1000
    ct = read_ct(write(slices[::-1]))
    by_z = sorted(slices, key=lambda s: s.ImagePositionPatient[2])
    expected = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in by_z])
    assert ct.hu.dtype == np.float32
    np.testing.assert_array_equal(ct.hu, expected.astype(np.float32))
    assert ct.sop_instance_uids == tuple(s.SOPInstanceUID for s in by_z)
    assert ct.grid.origin == tuple(map(float, by_z[0].ImagePositionPatient))
    assert ct.grid.shape == ct.hu.shape
    across, down = float(by_z[0].PixelSpacing[1]), float(by_z[0].PixelSpacing[0])
    step = float(by_z[1].ImagePositionPatient[2] - by_z[0].ImagePositionPatient[2])
    assert ct.grid.spacing == pytest.approx((across, down, step))
    assert ct.scanner.count("|") == 2
    assert not ct.hu.flags.writeable


def test_twelve_stored_bits_ignore_what_stands_above_them(slices, write):
    for data in slices:
        raw = np.full((data.Rows, data.Columns), 0xF064, "<u2")  # 100 in twelve bits, rubbish above
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 0
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = raw.tobytes()
    assert np.unique(read_ct(write(slices)).hu).tolist() == [-924.0]


def drop(index):
    return lambda s: s.pop(index)


def put(index, keyword, value):
    return lambda s: setattr(s[index], keyword, value)


def shift(index, mm):
    def move(slices):
        x, y, z = slices[index].ImagePositionPatient
        slices[index].ImagePositionPatient = [x, y, float(z) + mm]

    return move


def repeat(slices):
    slices.append(slices[2])


def compress(data, syntax):
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([b"12"])
    data["PixelData"].is_undefined_length = True


def compressed(slices):
    compress(slices[0], "1.2.840.10008.1.2.4.70")


CT_REFUSED = {
    "missing": (drop(4), "the CT has a gap: 1 slice missing between z =", "ct.missing_slice"),
    "uneven": (shift(4, 2.6), "unevenly spaced", "ct.spacing"),
    "double": (repeat, "two CT slices are at z =", "ct.double_slice"),
    "inclined": (put(1, "PatientPosition", "HFX"), "is HFX, expected HFS, HFP, FFS", "ct.position"),
    "position in some": (put(1, "PatientPosition", ""), "differ in their patient position (0018,5100)", "ct.mixture"),
    "tilted": (
        put(1, "ImageOrientationPatient", [1, 0, 0, 0, 0.99, 0.14]),
        "(slices that are not oblique)",
        "ct.orientation",
    ),
    "series": (put(1, "SeriesInstanceUID", "1.2.3"), "differ in their series (0020,000E)", "ct.mixture"),
    "frame": (put(1, "FrameOfReferenceUID", "1.2.3"), "differ in their frame of reference", "ct.mixture"),
    "spacing": (put(1, "PixelSpacing", [9, 9]), "differ in their pixel spacing", "ct.mixture"),
    "scanner": (put(1, "StationName", "OTHER"), "differ in their scanner", "ct.mixture"),
    "enhanced": (
        lambda s: setattr(s[1].file_meta, "MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.2.1"),
        "multi-frame and enhanced CT are not supported",
        "ct.not_a_slice",
    ),
    "frames": (put(1, "NumberOfFrames", 2), "multi-frame CT is not supported", "ct.not_a_slice"),
    "jpeg": (compressed, "compressed (JPEG Lossless", "dicom.transfer_syntax"),
    "no slope": (put(1, "RescaleSlope", None), "RescaleSlope (0028,1053) is missing", "dicom.missing"),
    "not HU": (put(1, "RescaleType", "US"), "RescaleType (0028,1054) is US, expected HU", "ct.rescale"),
    "no z": (put(1, "ImagePositionPatient", ["0", "0"]), "(0020,0032) is missing or does not have 3", "dicom.missing"),
    "one": (lambda s: s.__delitem__(slice(1, None)), "the CT has 1 slices", "ct.slices"),
}


@pytest.mark.parametrize("case", CT_REFUSED)
def test_ct_refused_by_name(case, slices, write):
    spoil, words, code = CT_REFUSED[case]
    spoil(slices)
    _, problems = check_ct(write(slices))
    assert [one.code for one in problems] == [code]
    assert words in str(problems[0])
    assert problems[0].advice
    with pytest.raises(DicomProblem):
        read_ct(write(slices))


def test_gap_is_named_by_where_the_slice_should_be(slices, write):
    by_z = sorted(slices, key=lambda s: s.ImagePositionPatient[2])
    lost = by_z.pop(4)
    _, (problem,) = check_ct(write(by_z))
    assert str(problem).endswith(f"first at z = {float(lost.ImagePositionPatient[2]):g} mm")


def test_every_gap_is_named_and_many_slices_with_one_fault_are_one_problem(slices, write):
    for index in (9, 4):
        del slices[index]
    _, problems = check_ct(write(slices))
    assert [one.code for one in problems] == ["ct.missing_slice"] * 2
    for one in slices:
        one.PatientPosition = "SITTING"
    slices[0].RescaleType = "US"
    _, problems = check_ct(write(slices))
    assert sorted(one.code for one in problems) == ["ct.position", "ct.rescale"]
    sitting = next(one for one in problems if one.code == "ct.position")
    assert sitting.file == f"CT.0001.dcm and {len(slices) - 1} more CT slices"


def test_positions_that_jitter_by_some_hundredths_are_even(slices, write):
    for index, one in enumerate(slices):
        x, y, z = one.ImagePositionPatient
        one.ImagePositionPatient = [float(x) + 0.004 * (-1) ** index, y, round(float(z) + 0.02 * (-1) ** index, 2)]
    found, problems = check_ct(write(slices))
    assert problems == ()
    assert len(found) == len(slices)


def drifting(slices, by):
    """Each step is longer than the one before by twice `by` mm."""
    z = float(slices[0].ImagePositionPatient[2])
    for index, one in enumerate(slices):
        x, y, _ = one.ImagePositionPatient
        one.ImagePositionPatient = [x, y, f"{z + 5 * index + by * index * index:.3f}"]


def test_a_spacing_that_drifts_by_little_is_interpolated_and_by_much_refused(slices, write):
    """Each step differs by little from the next, the slices by much from where even spacing puts them."""
    drifting(slices, 0.04)
    (note,) = read_ct(write(slices)).notes
    assert "unevenly spaced, 5.04 to 6 mm" in note
    drifting(slices, 0.12)
    _, (problem,) = check_ct(write(slices))
    assert problem.code == "ct.spacing"
    assert "unevenly spaced" in str(problem)


def test_a_ct_without_patient_position_is_read_and_says_so(slices, write):
    for one in slices:
        one.PatientPosition = ""
    assert read_ct(write(slices)).position == ""


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("BitsAllocated", 8), ("PhotometricInterpretation", "RGB"), ("Rows", 500), ("PixelData", b"\0\0")],
)
def test_pixels_that_are_not_what_they_claim_are_refused(keyword, value, slices, write):
    for data in slices:
        setattr(data, keyword, value)
    with pytest.raises(DicomProblem, match=r"pixels|PixelData"):
        read_ct(write(slices))


@pytest.fixture
def dose():
    return load(PLAN_DOSE)


@pytest.fixture
def beam_dose():
    return load(BEAM_DOSE)


def read_dose(data, folder):
    data.save_as(folder / "RD.dcm")
    return read_rtdose(folder / "RD.dcm", MEANING)


def test_dose_equals_what_pydicom_reads(dose, tmp_path):
    got = read_dose(dose, tmp_path)
    expected = (dose.pixel_array * float(dose.DoseGridScaling)).astype(np.float32)
    np.testing.assert_array_equal(got.gy, expected)
    assert got.dose_type is MEANING
    assert got.beam_number is None
    assert got.grid.shape == expected.shape
    assert got.grid.origin == tuple(map(float, dose.ImagePositionPatient))
    offsets = [float(value) for value in dose.GridFrameOffsetVector]
    assert got.grid.spacing == pytest.approx(
        (float(dose.PixelSpacing[1]), float(dose.PixelSpacing[0]), abs(offsets[1] - offsets[0]))
    )


def test_absolute_and_descending_frames_give_the_same_dose(dose, tmp_path):
    plain = read_dose(dose, tmp_path)
    x, y, z = (float(value) for value in dose.ImagePositionPatient)
    offsets = [float(value) for value in dose.GridFrameOffsetVector]
    frames = dose.pixel_array
    dose.GridFrameOffsetVector = [z + offset for offset in offsets]
    absolute = read_dose(dose, tmp_path)
    dose.ImagePositionPatient = [x, y, z + offsets[-1]]
    dose.GridFrameOffsetVector = [-offset for offset in offsets]
    dose.PixelData = np.ascontiguousarray(frames[::-1]).tobytes()
    descending = read_dose(dose, tmp_path)
    for other in (absolute, descending):
        assert other.grid.origin == pytest.approx(plain.grid.origin)
        assert other.grid.spacing == pytest.approx(plain.grid.spacing)
        np.testing.assert_array_equal(other.gy, plain.gy)


def test_sixteen_bit_dose(dose, tmp_path):
    stored = np.arange(dose.NumberOfFrames * dose.Rows * dose.Columns, dtype="<u2") % 60_000
    dose.BitsAllocated = dose.BitsStored = 16
    dose.HighBit = 15
    dose.PixelData = stored.tobytes()
    dose.DoseGridScaling = "0.001"
    assert read_dose(dose, tmp_path).gy.max() == pytest.approx(stored.max() * 0.001)


def test_dose_of_a_beam_says_which(beam_dose, tmp_path):
    named = beam_dose.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0].ReferencedBeamSequence[0]
    beam_dose.save_as(tmp_path / "RD.dcm")
    facts = dose_facts(tmp_path / "RD.dcm")
    assert facts.beam_number == int(named.ReferencedBeamNumber)
    assert facts.summation == "BEAM"
    assert facts.dose_type == "PHYSICAL"
    assert facts.plan_uid == beam_dose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID
    assert facts.manufacturer == beam_dose.Manufacturer


def value(keyword, given):
    return lambda data: setattr(data, keyword, given)


def two_beams(data):
    data.DoseSummationType = "BEAM"
    group = Dataset()
    group.ReferencedFractionGroupNumber = 1
    group.ReferencedBeamSequence = Sequence([Dataset(), Dataset()])
    for number, beam in enumerate(group.ReferencedBeamSequence, start=1):
        beam.ReferencedBeamNumber = number
    data.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = Sequence([group])


def negative(data):
    data.PixelRepresentation = 1
    data.PixelData = b"\xff" * len(data.PixelData)


def without_pixels(data):
    del data.PixelData


DOSE_REFUSED = {
    "relative": (value("DoseUnits", "RELATIVE"), "DoseUnits (3004,0002) is RELATIVE, expected GY"),
    "difference": (value("DoseType", "ERROR"), "DoseType (3004,0004) is ERROR"),
    "control point": (value("DoseSummationType", "CONTROL_POINT"), "is CONTROL_POINT, expected PLAN or BEAM"),
    "multi": (value("DoseSummationType", "MULTI_PLAN"), "is MULTI_PLAN, expected PLAN or BEAM"),
    "two beams": (two_beams, "refers to 2 beams"),
    "no plan": (value("ReferencedRTPlanSequence", Sequence([])), "refers to 0 plans"),
    "oblique": (value("ImageOrientationPatient", [0.99, 0.14, 0, -0.14, 0.99, 0]), "(a dose grid that is not oblique)"),
    "offsets short": (value("GridFrameOffsetVector", [0, 3]), "has 2 values for"),
    "scaling": (value("DoseGridScaling", 0), "DoseGridScaling (3004,000E) is 0, expected more than 0"),
    "bits": (value("BitsAllocated", 8), "not 16 or 32 bit"),
    "rows": (value("Rows", 30_000), "from its rows, columns and frames"),
    "zero": (lambda data: setattr(data, "PixelData", bytes(len(data.PixelData))), "zero everywhere"),
    "negative": (negative, "the dose has negative values"),
    "no pixels": (without_pixels, "has no dose grid"),
    "compressed": (
        lambda data: compress(data, "1.2.840.10008.1.2.5"),
        "compressed (RLE Lossless)",
    ),
}


@pytest.mark.parametrize("case", DOSE_REFUSED)
def test_dose_refused_by_name(case, dose, tmp_path):
    spoil, words = DOSE_REFUSED[case]
    spoil(dose)
    with pytest.raises(DicomProblem) as reported:
        read_dose(dose, tmp_path)
    assert words in reported.value.reason


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        (lambda n: [0, *(k * 3 + 1 for k in range(1, n))], "not evenly spaced"),
        (lambda n: [k * 3 + 7000 for k in range(n)], "begins with 7000, expected 0 or"),
        (lambda n: [0] * n, "not evenly spaced"),
    ],
)
def test_frames_that_stand_nowhere_are_refused(offsets, words, dose, tmp_path):
    dose.GridFrameOffsetVector = offsets(int(dose.NumberOfFrames))
    with pytest.raises(DicomProblem, match=words):
        read_dose(dose, tmp_path)


@pytest.fixture
def structures():
    return load("RS.dcm")


def test_structure_set_names_every_slice_it_draws_on(structures, tmp_path, slices):
    structures.save_as(tmp_path / "RS.dcm")
    got = read_structures(tmp_path / "RS.dcm")
    assert set(got.ct_uids) == {s.SOPInstanceUID for s in slices[TINY.bare : -TINY.bare]}
    assert got.frame_of_reference_uid == slices[0].FrameOfReferenceUID
    assert got.sop_instance_uid == structures.SOPInstanceUID
    assert [one.kind for one in got.rois] == ["EXTERNAL"]


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("PixelSpacing", [1e-9, 1e-9], "PixelSpacing (0028,0030) is 1e-09, 1e-09, expected 0.01 to 100 mm"),
        ("PixelSpacing", [3, 1e9], "PixelSpacing (0028,0030) is 3, 1e+09, expected 0.01 to 100 mm"),
        ("PixelSpacing", [90, 90], "mm large, expected at most 5000 mm"),
        ("ImagePositionPatient", [0, -1e12, 0], "(0020,0032) is 0, -1e+12, 0, expected within 5000 mm of the origin"),
    ],
)
def test_a_ct_that_is_too_fine_too_large_or_far_away_is_refused(slices, write, keyword, value, words):
    """What is computed on such a grid takes all time and memory."""
    for data in slices:
        here = [*value[:2], data.ImagePositionPatient[2]] if keyword == "ImagePositionPatient" else value
        setattr(data, keyword, here)
    paths = write(slices)
    text = "; ".join(map(str, check_ct(paths)[1]))
    assert words.replace(", 0, expected", f", {float(slices[0].ImagePositionPatient[2]):g}, expected") in text
