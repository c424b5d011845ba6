"""A structure set may name a part of the CT only. Slices that come after the case was taken make a new revision."""

from __future__ import annotations

import json

import pydicom

ENDED = ("done", "failed", "cancelled")


def name_only(structures, uids):
    """Let the structure set name these slices alone."""
    data = pydicom.dcmread(structures)
    series = data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.ContourImageSequence = [
        image for image in series.ContourImageSequence if image.ReferencedSOPInstanceUID in uids
    ]
    data.save_as(structures)


def test_slices_that_come_after_a_case_was_taken_make_a_new_revision_with_the_whole_ct(site):
    folder = site.drop()
    slices = {path: pydicom.dcmread(path) for path in folder.glob("CT*")}
    by_z = sorted(slices, key=lambda path: float(slices[path].ImagePositionPatient[2]))
    early, late = by_z[: len(by_z) // 2], by_z[len(by_z) // 2 :]
    name_only(folder / "RS.dcm", {slices[path].SOPInstanceUID for path in early})
    away = site.folder / "away"
    away.mkdir()
    for path in late:
        path.rename(away / path.name)
    daemon = site.daemon()
    admitted = next(one for one in daemon.events() if one["event"] == "step.done" and one["step"] == "admit")
    assert admitted["ct_slices"] == len(early)
    for path in late:
        (away / path.name).rename(path)
    cases = site.wait_for(
        lambda cases: len(cases) == 2 and all(case["status"] in ENDED for case in cases), "two revisions"
    )
    first, second = sorted(cases, key=lambda case: case["revision"])
    assert (first["revision"], second["revision"], second["status"]) == (1, 2, "done")
    assert daemon.stop() == 0
    verdict = json.loads((site.results / second["case"] / "verdict.json").read_text())
    (ends,) = (check for check in verdict["checks"] if check["name"] == "ct_ends")
    assert ends["note"].startswith(f"the CT has {len(by_z)} slices")
    assert {check["word"] for check in verdict["checks"] if check["name"] != "uncertainty"} == {"pass"}, verdict["why"]
