"""A folder is a case when its references prove it; else it is told what is missing or wrong."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import time

import pydicom
import pytest

from mqi_communicator.case.faults import Permanent, Transient
from mqi_communicator.case.model import Kind
from mqi_communicator.demo.sample import KINDS, sample_files, write_sample
from mqi_communicator.intake.admit import Complete, Incomplete, Rejected, examine, load_manifest, take
from mqi_communicator.intake.options import IntakeOptions

OPTIONS = IntakeOptions(settle_s=2, still_s=10, patience_s=1000, no_dose_still_s=100)
FILES = sample_files("pass", "tiny")
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
    assert early.summary == "the folder has only just come to rest; taken as it is if nothing more comes"
    assert early.look_in_s == pytest.approx(0.5)
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


def test_growing_case_says_what_is_missing_and_is_complete_with_the_last_file(tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    told = [look(folder).summary]
    for name in (*CT[:-2], "RP.dcm", "RS.dcm", *DOSES, *CT[-2:]):
        (folder / name).write_bytes(FILES[name])
        found = look(folder)
        told.append(found.summary if isinstance(found, Incomplete) else "complete")
    assert told[0] == "the folder is empty"
    assert "no RT plan yet" in told
    assert "the structure set that the plan refers to has not arrived" in told
    assert f"2 of {len(CT)} CT slices of the structure set have not arrived" in told
    assert told[-2:] == [f"1 of {len(CT)} CT slices of the structure set has not arrived", "complete"]


@pytest.mark.parametrize("name", ["RP.dcm", "RS.dcm", CT[3], DOSES[0]])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_half_copied_file_is_waited_for_then_refused(folder, name, share):
    (folder / name).write_bytes(FILES[name][: int(len(FILES[name]) * share)])
    young = look(folder, 999)
    assert isinstance(young, Incomplete)
    assert young.missing[0].startswith(f"still being copied: {name} ")
    assert young.look_in_s == pytest.approx(1)
    old = look(folder, 1000)
    assert isinstance(old, Rejected)
    assert name in old.reason
    assert "ends early" in old.reason or "is empty (0 bytes)" in old.reason


def test_partial_names_are_waited_for_and_then_forgotten(folder):
    (folder / "RD.2.dcm.part").write_bytes(b"x")
    assert "RD.2.dcm.part is a copy under way" in look(folder, 5).summary
    assert isinstance(look(folder, 1000), Complete)


def test_text_called_dcm(folder):
    (folder / "notes.dcm").write_text("hello " * 100)
    assert "notes.dcm is not a DICOM file, though its name says so" in refused(folder, 1000)


def test_flat_or_nested_with_or_without_suffix(tmp_path):
    write_sample(tmp_path / "case", kind="no-suffix", size="tiny")
    assert isinstance(look(tmp_path / "case"), Complete)


def test_two_plans_are_both_named(folder):
    shutil.copy(folder / "RP.dcm", folder / "RP again.dcm")
    change(folder, "RP again.dcm", SOPInstanceUID="1.2.3.4")
    assert refused(folder) == "the folder holds 2 plans: RP again.dcm, RP.dcm"


def test_same_file_twice_counts_once(folder):
    (folder / "copy").mkdir()
    shutil.copy(folder / CT[0], folder / "copy" / CT[0])
    found = look(folder)
    assert isinstance(found, Complete)
    assert len(found.parts) == len(ROLES)


def test_two_versions_of_one_object(folder):
    shutil.copy(folder / CT[0], folder / "other.dcm")
    change(folder, "other.dcm", RescaleIntercept=-1000)
    assert refused(folder) == f"{CT[0]} and other.dcm claim to be the same object and differ"


def test_structures_of_another_ct(folder):
    for number, name in enumerate(CT):
        change(folder, name, SOPInstanceUID=f"1.2.3.{number}")
    reason = refused(folder)
    assert reason.startswith(f"RS.dcm is drawn on another CT: of the {len(CT)} slices it names none is here")


def test_another_structure_set(folder):
    change(folder, "RS.dcm", SOPInstanceUID="1.2.3.4")
    assert "but the folder holds RS.dcm with 1.2.3.4" in refused(folder)


def test_dose_of_another_plan(folder):
    data = pydicom.dcmread(folder / DOSES[0])
    data.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
    data.save_as(folder / DOSES[0])
    assert refused(folder).startswith(f"{DOSES[0]} is the dose of another plan: it refers to 1.2.3.4, RP.dcm is ")


@pytest.mark.parametrize("name", ["RP.dcm", DOSES[0], CT[2]])
def test_frames_of_reference_must_agree(folder, name):
    change(folder, name, FrameOfReferenceUID="1.2.3.4")
    assert f"{name} and RS.dcm stand in different frames of reference" in refused(folder)


@pytest.mark.parametrize("name", ["RP.dcm", DOSES[0], CT[2]])
def test_another_patient_is_refused_without_saying_who(folder, name):
    change(folder, name, PatientID="CANARY77")
    reason = refused(folder)
    assert reason == f"{name} and RS.dcm carry different patient IDs (0010,0020)"


def test_gap_that_the_structure_set_does_not_know(folder):
    data = pydicom.dcmread(folder / "RS.dcm")
    images = data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    images = images.RTReferencedSeriesSequence[0].ContourImageSequence
    lost = pydicom.dcmread(folder / CT[4])
    kept = [image for image in images if image.ReferencedSOPInstanceUID != lost.SOPInstanceUID]
    images.clear()
    images.extend(kept)
    data.save_as(folder / "RS.dcm")
    reason = refused(folder)
    assert reason.startswith("the CT has a gap: 1 slice missing")
    assert reason.endswith(f"first at z = {float(lost.ImagePositionPatient[2]):g} mm")


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def test_without_a_dose_after_a_longer_wait_and_said_so(folder):
    remove(folder, *DOSES)
    assert "no planned dose (RTDOSE) is there" in look(folder, 99).summary
    found = look(folder, 100)
    assert isinstance(found, Complete)
    assert "nothing to compare with" in found.notes[0]


def test_dose_of_the_plan_alone_waits_a_moment_for_its_beams(folder):
    remove(folder, *(name for name in DOSES if "beam" in name))
    assert look(folder, 5).look_in_s == pytest.approx(5)
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
    assert refused(folder).startswith(f"{DOSES[0]} and RD.z.dcm both hold the dose of")


def test_overdue_is_said(folder):
    remove(folder, CT[0])
    assert not look(folder, 999).overdue
    assert look(folder, 1000).overdue


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
    said = look(folder).summary
    assert f"1 of {len(CT)} CT slices" in said
    assert f"{CT[0]} is a link; links are not followed" in said


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
        ({"max_files": 5}, "the folder holds more than 5 files"),
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
        manifest = take(case, tmp_path / "spool", found)
        assert inner in {file.original for file in manifest.files}
        assert load_manifest(tmp_path / "spool" / "manifest.json") == manifest


@pytest.fixture
def complete(folder):
    return look(folder)


def test_taking_copies_everything_under_opaque_names(folder, complete, tmp_path):
    spool = tmp_path / "spool" / "k3y" / "case"
    manifest = take(folder, spool, complete)
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
    first = take(folder, tmp_path / "spool", complete)
    shutil.rmtree(folder)
    assert take(folder, tmp_path / "spool", complete) == first


def test_taking_begins_anew_after_an_interruption(folder, complete, tmp_path):
    spool = tmp_path / "spool"
    first = take(folder, spool, complete)
    (spool / "manifest.json").rename(spool / "manifest.tmp")
    (spool / "0002.dcm").write_bytes(b"half")
    (spool / "0099.dcm").write_bytes(b"left behind")
    assert take(folder, spool, complete) == first
    assert not (spool / "0099.dcm").exists()
    assert not (spool / "manifest.tmp").exists()


def test_content_does_not_depend_on_names_and_lineage_follows_the_plan(folder, complete, tmp_path):
    first = take(folder, tmp_path / "one", complete)
    (folder / CT[0]).rename(folder / "zz.dcm")
    second = take(folder, tmp_path / "two", look(folder))
    assert (second.content, second.lineage) == (first.content, first.lineage)
    change(folder, "RP.dcm", RTPlanLabel="other")
    third = take(folder, tmp_path / "three", look(folder))
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
    with pytest.raises(Transient) as told:
        take(folder, tmp_path / "spool", complete)
    assert CT[3] not in told.value.reason  # faults are logged
    assert not (tmp_path / "spool" / "manifest.json").exists()


def test_a_folder_replaced_by_a_link_is_not_entered(tmp_path):
    write_sample(tmp_path / "case", kind="no-suffix", size="tiny")
    found = look(tmp_path / "case")
    inner = next(part.name for part in found.parts if "/" in part.name).split("/", 1)[0]
    (tmp_path / "case" / inner).rename(tmp_path / "outside")
    (tmp_path / "case" / inner).symlink_to(tmp_path / "outside")
    with pytest.raises(Transient):
        take(tmp_path / "case", tmp_path / "spool", found)


def test_damaged_manifest_is_told(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(Permanent, match="manifest"):
        load_manifest(tmp_path / "manifest.json")
