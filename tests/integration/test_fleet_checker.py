"""The checker of fleets and the observer of faults see each wrong that is planted."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.faults.observer import Observer
from tests.fleet.cases import BEAMS, write_case
from tests.fleet.checker import Audit, audit

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose

pytestmark = [pytest.mark.real, pytest.mark.long]
KEY, TWIN = "fleetcheck23", "fleetchecktw"
MODEL = "0123456789ab" + 52 * "0"
GRID = Grid((10, 30, 30), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0))
GRAY = DoseType(Medium.WATER, Biology.PHYSICAL, Extent.COURSE)


class Left:
    """What a fleet of one case would leave behind."""

    def __init__(self, folder: Path) -> None:
        self.results, self.witness, self.store = folder / "results", folder / "witness", folder / "store"
        self.case = self.results / KEY
        (folder / "watch").mkdir()
        self.plan = write_case(folder / "watch", 1) / "RP.dcm"
        (self.case / "dose").mkdir(parents=True)
        total = np.sum([self.beam(beam) for beam in BEAMS], axis=0)
        self.write("plan.dcm", total)
        self.sign()
        self.witness.write_text("".join(self.run(beam, 1, 10.0 * beam) for beam in BEAMS))
        with closing(sqlite3.connect(self.store)) as made:
            made.execute("create table cases (key, source, same_as)")
            made.execute("create table work_items ('case', beam, status, needs_person, reason)")

    def beam(self, beam: int, case: int = 1, voxel: int = 4000) -> np.ndarray:
        gy = np.ones(GRID.shape)
        gy.flat[case], gy.flat[voxel + beam] = 2.0, 3.0
        self.write(f"beam-{beam}.dcm", gy)
        return gy

    def write(self, name: str, gy: np.ndarray) -> None:
        dose = Dose(GRID, gy.astype(np.float32), GRAY, 1)
        write_rtdose(self.case / "dose" / name, dose, Origin(KEY, "", "moqui", "a test", ""), plan=self.plan,
                     frame_of_reference_uid="2.25.1")  # fmt: skip

    def sign(self, run: int = 1) -> None:
        outputs = [
            {"name": f"dose/{file.name}", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for file in (self.case / "dose").iterdir()
        ]
        runs = [{"beam": beam, "run": run, "token": f"{KEY}-b{beam}-r{run}"} for beam in BEAMS]
        (self.case / "manifest.json").write_text(
            json.dumps({"outputs": outputs, "runs": runs, "engine": {"beam_model/G1": f"sha256 {MODEL}"}})
        )

    def run(self, beam: int, run: int, start: float, model: str = MODEL) -> str:
        output = f"{KEY}-b{beam}-r{run} case=1 beam={beam} gpus= pid={100 + 10 * beam + run} model={model[:12]}"
        return f"start {start} {output}\nend {start + 5} {output}\n"

    def audit(self) -> Audit:
        return audit([1], self.results, self.witness, self.store)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def test_what_is_as_it_should_be_is_clean(left: Left):
    found = left.audit()
    assert found.done == [1]
    assert found.clean, found


def test_a_dose_of_another_case(left: Left):
    left.beam(2, case=7)
    left.sign()
    assert any("beam 2 is of case 7 and says 1" in reported for reported in left.audit().mixed)


def test_a_dose_of_another_beam(left: Left):
    left.beam(2, voxel=4001)
    left.sign()
    assert any("beam 2 holds a dose of beam [3]" in reported for reported in left.audit().mixed)


def test_a_voxel_that_no_engine_wrote(left: Left):
    gy = left.beam(2)
    gy.flat[5000] = 1.01
    left.write("beam-2.dcm", gy)
    left.sign()
    assert any("beam 2 holds 1 voxels that no engine wrote" in reported for reported in left.audit().mixed)


def test_a_plan_that_is_not_the_sum_of_its_beams(left: Left):
    left.write("plan.dcm", 2 * left.beam(1))
    left.sign()
    assert any("not the sum" in reported for reported in left.audit().mixed)


def test_a_file_that_changed_after_its_manifest(left: Left):
    path = left.case / "dose" / "beam-3.dcm"
    path.write_bytes(path.read_bytes()[:-1] + b"\0\1")
    assert left.audit().corrupt == [f"{KEY}/dose/beam-3.dcm"]


def test_a_folder_without_a_manifest(left: Left):
    (left.case / "manifest.json").unlink()
    found = left.audit()
    assert found.corrupt
    assert found.lost == [1]


def test_two_runs_of_one_beam_at_once(left: Left):
    with left.witness.open("a") as witness:
        witness.write(left.run(1, 2, 12.0))
    left.sign(2)
    assert left.audit().doubled == [f"{KEY}-b1-r1 and {KEY}-b1-r2 at once"]


def test_a_result_of_a_run_that_was_followed_by_another(left: Left):
    with left.witness.open("a") as witness:
        witness.write(left.run(1, 2, 60.0))
    found = left.audit()
    assert found.doubled == []
    assert found.stale == [f"{KEY}-b1-r1 was delivered, the last run that began is 2"]


def test_a_result_that_names_another_beam_model_than_the_engine_read(left: Left):
    left.witness.write_text("".join(left.run(beam, 1, 10.0 * beam, "b" * 64 if beam == 2 else MODEL) for beam in BEAMS))
    (wrong,) = left.audit().mixed
    assert wrong == f"{KEY}-b2-r1 was computed with model {{'bbbbbbbbbbbb'}}, its result names {{'0123456789ab'}}"


@pytest.mark.parametrize(("bases", "twice"), [("", ["case 1"]), ("AA", ["case 1"]), ("AB", [])])
def test_a_case_has_one_result_and_a_constancy_sample_one_for_each_basis(left: Left, bases: str, twice: list[str]):
    shutil.copytree(left.case, left.results / TWIN)
    for key, basis in zip((KEY, TWIN), bases, strict=False):
        facts = {"because": "x", "basis": {"version": basis}}
        events = [{"event": "constancy.due", "facts": facts}, {"event": "step.done", "facts": {}}]
        (left.results / key / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    found = left.audit()
    assert (found.done, found.twice) == ([1], twice)


def test_the_observer_sees_two_runs_of_one_beam_alive(tmp_path: Path):
    (tmp_path / "gates").mkdir()
    observer = Observer(tmp_path)
    jobs = [
        subprocess.Popen(("sleep", "60"), env={"MQI_TOKEN": f"zzzzyyyy9999-b1-r{run}", "PATH": "/usr/bin:/bin"})
        for run in (1, 2)
    ]
    try:
        observer.look()
    finally:
        for job in jobs:
            job.kill()
            job.wait()
    assert "zzzzyyyy9999-b1-r1 and zzzzyyyy9999-b1-r2" in observer.together


def test_the_observer_sees_a_gate_change_hands(tmp_path: Path):
    gate = tmp_path / "gates" / f"{KEY}-b1-r1" / "started"
    gate.parent.mkdir(parents=True)
    observer = Observer(tmp_path)
    for owner in ("1,2,3", "1,2,3", "4,5,6"):
        assert observer.changed == set()
        gate.write_text(owner)
        observer.look()
    assert observer.changed == {f"{KEY}-b1-r1"}
