"""A folder is a case when its references prove it; else it is told what is missing or wrong."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import time
from copy import deepcopy

import pydicom
import pytest
from tests import written

from mqi_communicator.case.faults import Permanent, Transient
from mqi_communicator.case.model import Kind
from mqi_communicator.demo.sample import KINDS, write_sample
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dose.abilities import MCSQUARE
from mqi_communicator.intake import admit as admission
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Complete, Incomplete, Rejected
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.spooling import copy_to_spool

OPTIONS = IntakeOptions(settle_s=2, still_s=10, patience_s=1000, no_dose_still_s=100)
BESIDE = ("MR.0001.dcm", "RS.mr.dcm", "REG.dcm", "RD.sum.dcm", "CT.0001.dcm", "CT.0014.dcm")  # nothing refers to them
FILES = {name: content for name, content in written.FILES.items() if name not in BESIDE}
CT = sorted(name for name in FILES if name.startswith("CT"))
DOSES = sorted(name for name in FILES if name.startswith("RD"))
ROLES = ("RP.dcm", "RS.dcm", *DOSES, *CT)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "case"
    for name, content in FILES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def change(folder, name, **values):
    data = pydicom.dcmread(io.BytesIO((folder / name).read_bytes()))
    for keyword, value in values.items():
        setattr(data, keyword, value)
    data.save_as(folder / name)


def look(folder, still=2.0):
    found = examine(folder, OPTIONS, still_for=still)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - ours; it crosses a process boundary
    return found


def refused(folder, still=10.0):
    """Refused once still for so long, and never before."""
    assert isinstance(look(folder, still - 0.1), Incomplete)
    found = look(folder, still)
    assert isinstance(found, Rejected), found
    assert found.advice
    return found.reason


def test_whole_case_is_taken_when_it_has_settled(folder):
    early = look(folder, 1.5)
    assert early.summary == "the folder changed a moment ago; the case is admitted as it is if nothing more arrives"
    assert early.retry_in_s == pytest.approx(0.5)
    assert isinstance(look(folder, 2), Complete)


def test_whole_case_is_complete_with_its_roles(folder):
    (folder / "report.pdf").write_bytes(b"%PDF")
    (folder / "PlanInfo.txt").write_text("DICOM_PATIENT_ID,1\n")
    found = look(folder)
    assert isinstance(found, Complete)
    assert [part.name for part in found.parts][:2] == ["RP.dcm", "RS.dcm"]
    assert {part.name for part in found.parts} == set(ROLES)
    assert [part.kind for part in found.parts].count(Kind.CT) == len(CT)
    assert found.others == ("PlanInfo.txt", "report.pdf")
    assert found.notes == ()


@pytest.mark.parametrize("kind", ["decubitus", "feet-first"])
def test_the_series_of_a_patient_in_another_position_is_taken_whole(kind, tmp_path):
    """Its structure set names the slices that it draws on; an MR, its structure set and a registration are beside."""
    write_sample(tmp_path / "case", kind=kind, size="tiny")
    found = look(tmp_path / "case")
    assert isinstance(found, Complete)
    assert [part.kind for part in found.parts].count(Kind.CT) == 14
    named = read_header(tmp_path / "case" / "RS.dcm")
    assert named is not None
    assert len(named.refers_to) == 12
    assert set(found.others) >= {"MR.0001.dcm", "RS.mr.dcm", "REG.dcm"}


def test_growing_case_says_what_is_missing_and_is_complete_with_the_last_file(tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    reported = [look(folder).summary]
    for name in (*CT[:-2], "RP.dcm", "RS.dcm", *DOSES, *CT[-2:]):
        (folder / name).write_bytes(FILES[name])
        found = look(folder)
        reported.append(found.summary if isinstance(found, Incomplete) else "complete")
    assert reported[0] == "the folder is empty"
    assert "the folder has no RT plan yet" in reported
    assert "the structure set that the plan refers to has not arrived" in reported
    assert f"2 of {len(CT)} CT slices of the structure set have not arrived" in reported
    assert reported[-2:] == [f"1 of {len(CT)} CT slices of the structure set has not arrived", "complete"]


@pytest.mark.parametrize("name", ["RP.dcm", "RS.dcm", CT[3], DOSES[0]])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_half_copied_file_is_waited_for_then_refused(folder, name, share):
    (folder / name).write_bytes(FILES[name][: int(len(FILES[name]) * share)])
    young = look(folder, 999)
    assert isinstance(young, Incomplete)
    assert young.missing[0].startswith(f"still being copied: {name} ")
    assert young.retry_in_s == pytest.approx(1)
    old = look(folder, 1000)
    assert isinstance(old, Rejected)
    assert name in old.reason
    assert "ends early" in old.reason or "is empty (0 bytes)" in old.reason


def test_partial_names_are_waited_for_and_then_forgotten(folder):
    (folder / "RD.2.dcm.part").write_bytes(b"x")
    assert "RD.2.dcm.part is still being copied" in look(folder, 5).summary
    assert isinstance(look(folder, 1000), Complete)


def test_text_called_dcm(folder):
    (folder / "notes.dcm").write_text("hello " * 100)
    assert "notes.dcm is not a DICOM file despite its name" in refused(folder, 1000)


def test_flat_or_nested_with_or_without_suffix(tmp_path):
    write_sample(tmp_path / "case", kind="no-suffix", size="tiny")
    assert isinstance(look(tmp_path / "case"), Complete)


def test_two_plans_are_both_named(folder):
    shutil.copy(folder / "RP.dcm", folder / "RP again.dcm")
    change(folder, "RP again.dcm", SOPInstanceUID="1.2.3.4")
    assert refused(folder) == "the folder contains 2 plans: RP again.dcm, RP.dcm"


def test_same_file_twice_counts_once(folder):
    (folder / "copy").mkdir()
    shutil.copy(folder / CT[0], folder / "copy" / CT[0])
    found = look(folder)
    assert isinstance(found, Complete)
    assert len(found.parts) == len(ROLES)


def test_two_versions_of_one_object(folder):
    shutil.copy(folder / CT[0], folder / "other.dcm")
    change(folder, "other.dcm", RescaleIntercept=-1000)
    assert refused(folder) == f"{CT[0]} and other.dcm have the same SOPInstanceUID (0008,0018) but different contents"


def test_structures_of_another_ct(folder):
    for number, name in enumerate(CT):
        change(folder, name, SOPInstanceUID=f"1.2.3.{number}")
    reason = refused(folder)
    assert reason.startswith(f"RS.dcm belongs to another CT: it refers to {len(CT)} slices, and none of")


def test_another_structure_set(folder):
    change(folder, "RS.dcm", SOPInstanceUID="1.2.3.4")
    assert "but the folder contains RS.dcm with 1.2.3.4" in refused(folder)


def spoil_dose(folder, name, spoil):
    data = pydicom.dcmread(io.BytesIO(FILES[DOSES[0]]))
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    spoil(data)
    data.save_as(folder / name)


def of_another_plan(data):
    data.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"


def of_no_plan(data):
    del data.ReferencedRTPlanSequence


def of_several_plans(data):
    data.DoseSummationType = "MULTI_PLAN"
    data.ReferencedRTPlanSequence.append(deepcopy(data.ReferencedRTPlanSequence[0]))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (of_another_plan, "it is the dose of another plan (300C,0002)"),
        (of_no_plan, "it refers to 0 plans (300C,0002)"),
        (of_several_plans, "DoseSummationType (3004,000A) is MULTI_PLAN"),
        (lambda data: setattr(data, "DoseType", "ERROR"), "DoseType (3004,0004) is ERROR"),
        (lambda data: setattr(data, "DoseUnits", "RELATIVE"), "DoseUnits (3004,0002) is RELATIVE"),
        (lambda data: setattr(data, "DoseSummationType", "CONTROL_POINT"), "is CONTROL_POINT"),
    ],
)
def test_a_dose_that_is_not_of_this_plan_is_set_aside_and_reported(folder, tmp_path, spoil, why):
    spoil_dose(folder, "RD.extra.dcm", spoil)
    found = look(folder)
    assert isinstance(found, Complete)
    ((name, reason),) = found.aside
    assert (name, why in reason) == ("RD.extra.dcm", True)
    assert "RD.extra.dcm" in found.others
    copy_to_spool(folder, tmp_path / "spool", found)
    assert load_manifest(tmp_path / "spool" / "manifest.json").aside == found.aside


def test_when_every_dose_is_set_aside_none_is_left_to_compare_with(folder):
    for name in DOSES:
        data = pydicom.dcmread(folder / name)
        of_another_plan(data)
        data.save_as(folder / name)
    assert isinstance(look(folder, 99), Incomplete)
    found = look(folder, 100)
    assert "to compare with" in found.notes[0]
    assert len(found.aside) == len(DOSES)


def test_a_dose_of_this_plan_that_cannot_be_read_is_refused(folder):
    change(folder, DOSES[0], ImageOrientationPatient=[0.8, 0.6, 0, -0.6, 0.8, 0])
    assert "a dose grid that is not oblique" in refused(folder)


@pytest.mark.parametrize("name", ["RP.dcm", DOSES[0], CT[2]])
def test_frames_of_reference_must_agree(folder, name):
    change(folder, name, FrameOfReferenceUID="1.2.3.4")
    assert f"{name} and RS.dcm have different frames of reference (0020,0052): 1.2.3.4 and " in refused(folder)


@pytest.mark.parametrize("name", ["RP.dcm", DOSES[0], CT[2]])
def test_another_patient_is_refused_without_saying_who(folder, name):
    change(folder, name, PatientID="CANARY77")
    reason = refused(folder)
    assert reason == f"{name} and RS.dcm have different patient IDs (0010,0020)"


def name_slices(folder, keep):
    """Let the structure set name only these slices, as it may: those that it draws on."""
    data = pydicom.dcmread(folder / "RS.dcm")
    study = data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    images = study.RTReferencedSeriesSequence[0].ContourImageSequence
    kept = [image for image in images if image.ReferencedSOPInstanceUID in keep]
    images.clear()
    images.extend(kept)
    data.save_as(folder / "RS.dcm")


def uid(folder, name):
    return str(pydicom.dcmread(folder / name, stop_before_pixels=True).SOPInstanceUID)


def test_the_ct_is_the_whole_series_of_the_slices_that_the_structure_set_names(folder):
    name_slices(folder, {uid(folder, name) for name in CT[4:7]})
    found = look(folder)
    assert isinstance(found, Complete)
    assert {part.name for part in found.parts if part.kind is Kind.CT} == set(CT)


def test_slices_beyond_the_named_ones_count_when_they_have_come_before_the_folder_is_still(folder):
    name_slices(folder, {uid(folder, name) for name in CT[:7]})
    remove(folder, *CT[7:])
    assert isinstance(look(folder, 1.9), Incomplete)
    assert len(look(folder).parts) == len(ROLES) - len(CT[7:])
    for name in CT[7:]:
        (folder / name).write_bytes(FILES[name])
    assert isinstance(look(folder, 0.1), Incomplete)
    assert len(look(folder).parts) == len(ROLES)


def test_slices_of_another_series_and_localizers_are_left_aside(folder):
    for number, (series, kind) in enumerate([("1.2.3", "AXIAL"), (None, "LOCALIZER")]):
        data = pydicom.dcmread(io.BytesIO(FILES[CT[0]]))
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        data.SeriesInstanceUID = series or data.SeriesInstanceUID
        data.ImageType = ["ORIGINAL", "PRIMARY", kind]
        data.save_as(folder / f"other{number}.dcm")
    found = look(folder)
    assert isinstance(found, Complete)
    assert {"other0.dcm", "other1.dcm"} <= set(found.others)
    assert len(found.parts) == len(ROLES)


def test_gap_in_a_series_of_which_the_structure_set_names_a_part(folder):
    lost = pydicom.dcmread(folder / CT[4])
    name_slices(folder, {uid(folder, name) for name in CT[:4]})
    remove(folder, CT[4])
    reason = refused(folder)
    assert reason.startswith("the CT has a gap: 1 slice missing")
    assert reason.endswith(f"first at z = {float(lost.ImagePositionPatient[2]):g} mm")


def test_two_slices_of_the_series_at_one_place(folder):
    data = pydicom.dcmread(io.BytesIO(FILES[CT[4]]))
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data.save_as(folder / "again.dcm")
    assert refused(folder).startswith("two CT slices are at z = ")


def test_a_structure_set_with_two_frames_of_reference_of_which_one_is_the_cts(folder):
    data = pydicom.dcmread(folder / "RS.dcm")
    other = pydicom.Dataset()
    other.FrameOfReferenceUID = "1.2.3"
    data.ReferencedFrameOfReferenceSequence.append(other)
    data.save_as(folder / "RS.dcm")
    assert isinstance(look(folder), Complete)


def test_all_reasons_are_given_at_once(folder):
    """Of plan, CT, doses and engine: the user exports once more, not three times."""
    change(folder, CT[2], RescaleType="US")
    shutil.copy(folder / DOSES[0], folder / "RD.z.dcm")
    change(folder, "RD.z.dcm", SOPInstanceUID="1.2.3.4")
    plan = pydicom.dcmread(folder / "RP.dcm")
    plan.IonBeamSequence[0].ScanMode = "UNIFORM"  # and its two magnets are spreaders then
    plan.IonBeamSequence[1].FinalCumulativeMetersetWeight = None
    plan.save_as(folder / "RP.dcm")
    found = examine(folder, OPTIONS, lambda plan, _ct, _structures: MCSQUARE.refusals(plan), still_for=10)
    assert found.reason.startswith("6 reasons; (1) RP.dcm, beam 2")
    for words in (
        "FinalCumulativeMetersetWeight (300A,010E) is missing",
        f"{CT[2]}: RescaleType (0028,1054) is US, expected HU",
        "both contain the dose of",
        "beam 1 (F1 anterior): ScanMode (300A,0308) is UNIFORM",
        "beam 1 (F1 anterior): needs a spreader",
    ):
        assert words in found.reason
    assert found.code == "dicom.missing"
    early = examine(folder, OPTIONS, still_for=9)
    assert early.summary.startswith("not acceptable so far: 3 reasons; (1) RP.dcm, beam 2")
    assert "admitted as it is" not in early.summary


def test_the_engine_is_asked_with_the_whole_ct_once_all_is_sound(folder):
    asked = []

    def refusals(plan, ct, structures):
        asked.append((plan.file, ct.grid.shape[0], structures.sop_instance_uid))
        return [Problem("beam.x", plan.file, "cannot be computed", advice="Do something else.")]

    assert isinstance(examine(folder, OPTIONS, refusals, still_for=1), Incomplete)
    assert asked == []
    found = examine(folder, OPTIONS, refusals, still_for=10)
    assert (found.reason, found.advice, found.code) == (
        "RP.dcm: cannot be computed",
        "Do something else.",
        "beam.x",
    )
    assert asked == [("RP.dcm", len(CT), uid(folder, "RS.dcm"))]


def without_preamble(content):
    """As some systems write files: the first element at byte 0."""
    return content[132:]


def thin_meta(content):
    """File meta information with the transfer syntax alone."""
    data = pydicom.dcmread(io.BytesIO(content))
    syntax = str(data.file_meta.TransferSyntaxUID).encode()
    syntax += b"\0" * (len(syntax) % 2)
    element = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(element))
    return b"\0" * 128 + b"DICM" + length + element + body(content)


def body(content):
    """The data set without its file meta information."""
    length = struct.unpack_from("<I", content, 140)[0]
    return content[144 + length :]


@pytest.mark.parametrize("cut", [without_preamble, thin_meta, body], ids=["no preamble", "thin meta", "data set alone"])
@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_files_without_preamble_or_with_little_meta_information_are_read(folder, cut, suffix):
    for name in FILES:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / (name.removesuffix(".dcm") + suffix)).write_bytes(cut(content))
    found = look(folder)
    assert isinstance(found, Complete), found
    assert len(found.parts) == len(ROLES)


def test_one_object_with_two_meta_headers_counts_once(folder):
    (folder / "again.dcm").write_bytes(thin_meta((folder / CT[0]).read_bytes()))
    assert isinstance(look(folder), Complete)


def test_one_object_in_two_transfer_syntaxes_counts_once(folder):
    data = pydicom.dcmread(folder / CT[0])
    implicit = data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1" if implicit else "1.2.840.10008.1.2"
    data.save_as(folder / "again.dcm", implicit_vr=not implicit, little_endian=True)
    assert isinstance(look(folder), Complete)
    data.RescaleIntercept = -1
    data.save_as(folder / "again.dcm", implicit_vr=not implicit, little_endian=True)
    assert "have the same SOPInstanceUID" in refused(folder)


def test_a_plan_whose_uid_is_none_has_a_lineage_of_its_own(folder, tmp_path):
    """Some systems write the SOP Class UID as SOP Instance UID: two patients' plans must not be revisions."""
    change(folder, "RP.dcm", SOPInstanceUID="1.2.840.10008.5.1.4.1.1.481.8")
    for name in DOSES:
        data = pydicom.dcmread(folder / name)
        data.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.8"
        data.save_as(folder / name)
    first = copy_to_spool(folder, tmp_path / "one", look(folder))
    change(folder, "RP.dcm", RTPlanLabel="another plan")
    second = copy_to_spool(folder, tmp_path / "two", look(folder))
    assert first.lineage != second.lineage


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def test_without_a_dose_after_a_longer_wait_and_said_so(folder):
    remove(folder, *DOSES)
    assert "has no planned dose (RTDOSE)" in look(folder, 99).summary
    found = look(folder, 100)
    assert isinstance(found, Complete)
    assert "to compare with" in found.notes[0]


def test_dose_of_the_plan_alone_waits_a_moment_for_its_beams(folder):
    remove(folder, *(name for name in DOSES if "beam" in name))
    assert look(folder, 5).retry_in_s == pytest.approx(5)
    found = look(folder, 10)
    assert isinstance(found, Complete)
    assert "whole plan only" in found.notes[0]


def test_gap_in_the_doses_per_beam_is_waited_for_and_said(folder):
    (gone,) = (name for name in DOSES if "beam2" in name)
    remove(folder, gone)
    assert isinstance(look(folder, 99), Incomplete)
    assert look(folder, 100).notes == ("no planned dose for beam 2",)


def test_two_doses_of_one_scope(folder):
    shutil.copy(folder / DOSES[0], folder / "RD.z.dcm")
    change(folder, "RD.z.dcm", SOPInstanceUID="1.2.3.4")
    assert refused(folder).startswith(f"{DOSES[0]} and RD.z.dcm both contain the dose of")


def test_overdue_is_said(folder):
    remove(folder, CT[0])
    assert not look(folder, 999).overdue
    assert look(folder, 1000).overdue


@pytest.mark.long  # tests/e2e/test_bad_input.py tries those that are refused, and the page of them
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_sample_has_an_answer(tmp_path, kind):
    write_sample(tmp_path / "case", kind=kind, size="tiny")
    found = look(tmp_path / "case", 1e6)
    awaited = {"missing-slice", "no-plan", "no-structures"}
    assert isinstance(found, Incomplete) is (kind in awaited)


def test_links_are_not_followed(folder, tmp_path):
    shutil.move(folder / CT[0], tmp_path / "elsewhere.dcm")
    (folder / CT[0]).symlink_to(tmp_path / "elsewhere.dcm")
    (folder / "loop").symlink_to(folder)
    output = look(folder).summary
    assert f"1 of {len(CT)} CT slices" in output
    assert f"{CT[0]} is a symbolic link; links are not followed" in output


def test_pipe_does_not_block(folder):
    os.mkfifo(folder / "pipe.dcm")
    found = look(folder)
    assert isinstance(found, Complete)
    assert "pipe.dcm" in found.others


@pytest.mark.skipif(os.geteuid() == 0, reason="file modes do not bind root")
def test_unreadable_file_is_said(folder):
    (folder / CT[0]).chmod(0)
    assert f"{CT[0]} cannot be read" in refused(folder, 1000)


def test_folder_that_is_gone(tmp_path):
    with pytest.raises(Transient, match="cannot be listed"):
        examine(tmp_path / "none", OPTIONS)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_files": 5}, "the folder contains more than 5 files"),
        ({"max_case_bytes": 1 << 10}, " MB, more than the 0.001024 MB allowed"),
        ({"max_file_bytes": 1 << 10}, " MB, more than the 0.001024 MB allowed"),
    ],
)
def test_too_much(folder, limit, reason):
    found = examine(folder, IntakeOptions(still_s=0, **limit), still_for=0)
    assert isinstance(found, Rejected)
    assert reason in found.reason


def test_ten_thousand_other_files_are_quick(folder):
    (folder / "logs").mkdir()
    for number in range(10_000):
        (folder / "logs" / f"G1_{number}.ptn").write_bytes(b"16 bytes of a log")
    began = time.monotonic()
    found = look(folder)
    assert isinstance(found, Complete)
    assert len(found.others) == 10_000
    assert time.monotonic() - began < 10


NAMES = [
    "a b 'c' \"d\"",
    "x; touch y",
    "$(touch x)",
    "new\nline",
    "头颈部 Größe",
    "..hidden not",
    "x" * 200,
    os.fsdecode(b"bad \xff\xfe bytes"),
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_only_a_name(folder, tmp_path, name):
    case = folder.rename(tmp_path / name)
    (case / "sub").mkdir()
    inner = "sub/" + name + ".dcm"
    (case / CT[0]).rename(case / inner)
    found = look(case)
    assert isinstance(found, Complete) is not name.startswith(".")  # hidden names are passed over
    if isinstance(found, Complete):
        manifest = copy_to_spool(case, tmp_path / "spool", found)
        assert inner in {file.original for file in manifest.files}
        assert load_manifest(tmp_path / "spool" / "manifest.json") == manifest


@pytest.fixture
def complete(folder):
    return look(folder)


def test_taking_copies_everything_under_opaque_names(folder, complete, tmp_path):
    spool = tmp_path / "spool" / "k3y" / "case"
    manifest = copy_to_spool(folder, spool, complete)
    assert load_manifest(spool / "manifest.json") == manifest
    assert sorted(path.name for path in spool.iterdir()) == sorted(
        ["manifest.json", *(f"{number:04d}.dcm" for number in range(1, len(ROLES) + 1))]
    )
    for file in manifest.files:
        assert (spool / file.stored).read_bytes() == FILES[file.original]
        assert (spool / file.stored).stat().st_mode & 0o777 == 0o600
    assert spool.stat().st_mode & 0o777 == 0o700
    assert [number for number, _ in manifest.beams] == [1, 2]
    assert len(manifest.of(Kind.PLAN)) == 1
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_taking_twice_does_nothing(folder, complete, tmp_path):
    first = copy_to_spool(folder, tmp_path / "spool", complete)
    shutil.rmtree(folder)
    assert copy_to_spool(folder, tmp_path / "spool", complete) == first


def test_taking_begins_anew_after_an_interruption(folder, complete, tmp_path):
    spool = tmp_path / "spool"
    first = copy_to_spool(folder, spool, complete)
    (spool / "manifest.json").rename(spool / "manifest.tmp")
    (spool / "0002.dcm").write_bytes(b"half")
    (spool / "0099.dcm").write_bytes(b"left behind")
    assert copy_to_spool(folder, spool, complete) == first
    assert not (spool / "0099.dcm").exists()
    assert not (spool / "manifest.tmp").exists()


def test_content_does_not_depend_on_names_and_lineage_follows_the_plan(folder, complete, tmp_path):
    first = copy_to_spool(folder, tmp_path / "one", complete)
    (folder / CT[0]).rename(folder / "zz.dcm")
    second = copy_to_spool(folder, tmp_path / "two", look(folder))
    assert (second.content, second.lineage) == (first.content, first.lineage)
    change(folder, "RP.dcm", RTPlanLabel="other")
    third = copy_to_spool(folder, tmp_path / "three", look(folder))
    assert third.content != first.content
    assert third.lineage == first.lineage


def grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def touch(path):
    os.utime(path, ns=(1, 1))


def replace_by_link(path):
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def replace_by_same_size(path):
    state = path.stat()
    path.write_bytes(FILES[CT[4]][: state.st_size].ljust(state.st_size, b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("meddle", [grow, touch, replace_by_link, replace_by_same_size, os.unlink])
def test_a_file_that_changed_since_is_not_taken(folder, complete, tmp_path, meddle):
    meddle(folder / CT[3])
    with pytest.raises(Transient) as reported:
        copy_to_spool(folder, tmp_path / "spool", complete)
    assert CT[3] not in reported.value.reason  # faults are logged
    assert not (tmp_path / "spool" / "manifest.json").exists()


def test_a_folder_replaced_by_a_link_is_not_entered(tmp_path):
    write_sample(tmp_path / "case", kind="no-suffix", size="tiny")
    found = look(tmp_path / "case")
    inner = next(part.name for part in found.parts if "/" in part.name).split("/", 1)[0]
    (tmp_path / "case" / inner).rename(tmp_path / "outside")
    (tmp_path / "case" / inner).symlink_to(tmp_path / "outside")
    with pytest.raises(Transient):
        copy_to_spool(tmp_path / "case", tmp_path / "spool", found)


def test_damaged_manifest_is_told(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(Permanent, match="manifest"):
        load_manifest(tmp_path / "manifest.json")


def test_each_inode_is_read_once_whatever_its_names(folder, monkeypatch):
    read = []

    def note(path, limits):
        read.append(path.name)
        return read_header(path, limits)

    monkeypatch.setattr(admission, "read_header", note)
    for number in range(30):
        os.link(folder / "RS.dcm", folder / f"link {number:02d}.dcm")
    found = look(folder)
    assert isinstance(found, Complete)
    assert len(read) == len(FILES)
    assert len(found.others) == 30


def test_a_name_of_a_copy_under_way_does_not_hide_the_file(folder):
    os.link(folder / "RP.dcm", folder / "A.dcm.part")
    assert isinstance(look(folder, 2000), Complete)


def test_a_case_that_costs_too_much_to_read_is_refused_in_words(folder):
    options = OPTIONS.model_copy(update={"max_case_elements": 2000})
    assert isinstance(examine(folder, options, still_for=5), Incomplete)
    found = examine(folder, options, still_for=10)
    assert isinstance(found, Rejected)
    assert found.code == "dicom.budget"
    assert (
        found.reason
        == "reading the files of the case takes more than the 2000 elements allowed by intake.max_case_elements"
    )
    assert "intake.max_case_elements" in found.advice
