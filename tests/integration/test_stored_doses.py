"""Doses and prepared CT in the spool: what is read is what was stored, for the run and the recipe that it is of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
import pytest
from tests.judged import CONVENTIONS, KnownDose, judged
from tests.seldom import seldom

from mqi_communicator.case.faults import Permanent, Transient
from mqi_communicator.dicom.lattice import place_in, united
from mqi_communicator.dicom.rtdose import read_part, read_rtdose
from mqi_communicator.dose.crop import LOST
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.tasks import beam as beam_task
from mqi_communicator.flow.tasks import comparison
from mqi_communicator.flow.tasks.beam import keep_beam_dose
from mqi_communicator.flow.tasks.engine_input import prepare_again, read_case, read_plan
from mqi_communicator.flow.tasks.judge import judge_case
from mqi_communicator.flow.tasks.prepared_case import admitted_ct, keep_prepared, planned_grids, prepared_case
from mqi_communicator.flow.tasks.stored_dose import open_dose, store_dose
from mqi_communicator.results.grids import corners, cropped

ENGINE: Any = KnownDose("pass", "tiny", 0.01)
PREPARER = Preparer(ENGINE, PreparationOptions())


@pytest.fixture
def case(tmp_path):
    return judged(tmp_path)


def tokens(case):
    return {job.beam: job.token for job in case.record.runs}


def flip(path, at=-9):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def judge_again(case):
    return judge_case(case.spool, tokens(case), PREPARER, case.judgement, CONVENTIONS, case.record.basis)


def test_a_stored_dose_is_the_part_with_dose_and_the_planned_grids_of_the_whole(case, monkeypatch):
    whole = []
    monkeypatch.setattr(beam_task, "store_dose", lambda *given: whole.append(given[2:]))
    monkeypatch.setattr(beam_task, "kept_box", lambda dose, _grids: tuple(slice(0, n) for n in dose.grid.shape))
    for number, token in tokens(case).items():
        keep_beam_dose(case.spool, number, token, PREPARER, {})
        stored = open_dose(case.spool, number, token)
        dose, grid, _ = whole.pop()
        place = place_in(grid, stored.dose.grid)
        assert stored.whole == grid
        assert place is not None
        assert np.array_equal(stored.dose.gy, dose.gy[place])
        left = float(dose.gy.sum(dtype=np.float64) - stored.dose.gy.sum(dtype=np.float64))
        assert left <= LOST * dose.gy.sum(dtype=np.float64)
        for planned in planned_grids(case.spool):
            for own, its in zip(stored.dose.grid.axes(), planned.axes(), strict=True):
                assert own[0] <= its[0]
                assert own[-1] >= its[-1]


def test_a_stored_dose_is_mapped_and_cannot_be_written_to(case):
    (number, token), *_ = tokens(case).items()
    gy = open_dose(case.spool, number, token).dose.gy
    assert isinstance(gy.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        gy[0, 0, 0] = 1.0


def test_a_stored_dose_that_has_changed_is_not_read(case):
    (number, token), *_ = tokens(case).items()
    flip(case.spool.dose / f"beam-{number}.npy")
    with pytest.raises(Transient, match=rf"kept dose of beam {number} has digest [0-9a-f]{{16}}… and had"):
        open_dose(case.spool, number, token)


def test_a_stored_dose_of_another_run_is_not_read(case):
    number = next(iter(tokens(case)))
    with pytest.raises(Transient, match="is of run reportcase22-b1-r1, not of reportcase22-b1-r2"):
        open_dose(case.spool, number, f"reportcase22-b{number}-r2")


def test_a_stored_dose_of_another_shape_is_not_read(case):
    (number, token), *_ = tokens(case).items()
    record = case.spool.dose / f"beam-{number}.json"
    about = json.loads(record.read_text())
    about["grid"]["shape"][0] += 1
    record.write_text(json.dumps(about))
    with pytest.raises(Transient, match="expected"):
        open_dose(case.spool, number, token)


def test_a_dose_of_another_recipe_is_not_judged(case):
    case.spool.recipe.write_text(json.dumps({**ENGINE.recipe(), "histories_per_beam": "1"}))
    word, why, _ = judge_again(case)
    assert word == "not_judged"
    assert "the kept dose of beam 1, 2 was computed with another recipe" in why


def test_a_dose_that_an_earlier_version_stored_whole_is_judged(case):
    before = json.loads((case.spool.results / "verdict.json").read_text())["checks"]
    for number, token in tokens(case).items():
        stored = open_dose(case.spool, number, token)
        grid, dose = stored.dose.grid, stored.dose
        about = {
            "token": token,
            "grid": {"shape": grid.shape, "origin": grid.origin, "spacing": grid.spacing},
            "meaning": {"medium": "medium", "biology": "physical", "extent": "fraction"},
            "uncertainty": dose.uncertainty,
        }
        gy = np.array(dose.gy)
        (case.spool.dose / f"beam-{number}.npy").unlink()
        (case.spool.dose / f"beam-{number}.json").unlink()
        np.savez(case.spool.dose / f"beam-{number}.npz", gy=gy, about=np.array(json.dumps(about)))
    assert judge_again(case)[0] == "pass"
    assert json.loads((case.spool.results / "verdict.json").read_text())["checks"] == before
    with pytest.raises(Transient, match="is of run"):
        open_dose(case.spool, 1, "reportcase22-b1-r2")


def test_doses_are_delivered_on_one_part_of_the_grid_of_the_ct_and_read_back_in_part(case):
    parts = [open_dose(case.spool, number, token).dose.grid for number, token in tokens(case).items()]
    grid = united(parts)
    assert grid is not None
    for name, tokens_of in (("beam-1", [1]), ("plan", [1, 2])):
        path = case.spool.results / "dose" / f"{name}.dcm"
        header = pydicom.dcmread(path)
        assert (header.NumberOfFrames, header.Rows, header.Columns) == grid.shape
        stored = [open_dose(case.spool, number, tokens(case)[number]) for number in tokens_of]
        dose = read_rtdose(path, CONVENTIONS["MQI SAMPLE"].dose_type)
        expected = np.zeros(grid.shape)
        for one in stored:
            expected[place_in(grid, one.dose.grid)] += 5 * one.dose.gy.astype(np.float64)  # fractions
        assert dose.gy == pytest.approx(expected, abs=1.01 * expected.max() / 65535 / 2)
        near = corners(planned_grids(case.spool))
        part = read_part(path, dose.dose_type, near, 20.0)
        whole = cropped(dose, near, 20.0)
        assert part.grid == whole.grid
        assert np.array_equal(part.gy, whole.gy)


@pytest.mark.parametrize(
    "kind",
    seldom(
        ["pass", "prone", "feet-first", "decubitus", "couch", "external-water", "line-scan"],
        often=["pass", "decubitus"],
    ),
)
def test_a_prepared_case_is_restored_as_it_was_prepared(tmp_path, kind):
    case = judged(tmp_path, kind)
    read = read_case(case.spool)
    fresh = read.prepared(PREPARER)
    assert prepared_case(case.spool, read_plan(case.spool), PREPARER) is None
    keep_prepared(case.spool, fresh, read.ct)
    again = prepared_case(case.spool, read_plan(case.spool), PREPARER)
    assert again is not None
    assert np.array_equal(again.case.ct.hu, fresh.case.ct.hu)
    assert repr(again.case.plan) == repr(fresh.case.plan)
    assert (again.case.ct.grid, again.grid, again.axes) == (fresh.case.ct.grid, fresh.grid, fresh.axes)
    assert (again.cautions, again.problems) == (fresh.cautions, ())
    fields = ("frame_of_reference_uid", "sop_instance_uids", "scanner", "position", "kvp", "notes")
    assert all(getattr(again.case.ct, name) == getattr(fresh.case.ct, name) for name in fields)
    shown = admitted_ct(case.spool)
    assert (shown is not None) == np.array_equal(fresh.patient_ct().hu, read.ct.hu)


def test_a_prepared_case_of_another_recipe_is_prepared_again(case):
    read = read_case(case.spool)
    keep_prepared(case.spool, read.prepared(PREPARER), read.ct)
    case.spool.recipe.write_text(json.dumps({**ENGINE.recipe(), "beam_model/MQI-DEMO": "sha256 bbbb"}))
    assert prepared_case(case.spool, read_plan(case.spool), PREPARER) is None
    assert admitted_ct(case.spool) is None
    assert np.array_equal(prepare_again(case.spool, PREPARER).case.ct.hu, read.ct.hu)


def test_a_prepared_ct_that_has_changed_is_not_read(case):
    read = read_case(case.spool)
    keep_prepared(case.spool, read.prepared(PREPARER), read.ct)
    flip(case.spool.prepared / "hu.npy")
    with pytest.raises(Permanent, match="the prepared CT in the spool has digest"):
        prepare_again(case.spool, PREPARER)


def interrupted(case, monkeypatch, after):
    """Judge again, and fail when so many checks have been made; the limits are others than the first time's."""
    made = []

    def counted(self, scope, name, compute):
        if (found := self._read(scope, name)) is not None:
            return found
        if len(made) == after:
            raise KeyboardInterrupt
        made.append((scope, name))
        return get(self, scope, name, compute)

    get = comparison.KeptChecks.get
    monkeypatch.setattr(comparison.KeptChecks, "get", counted)
    try:
        judge_again(case)
    except KeyboardInterrupt:
        return made
    finally:
        monkeypatch.undo()
    return made


def test_an_interrupted_comparison_is_resumed_check_by_check(case, monkeypatch):
    judge_again(case)
    whole = (case.spool.results / "verdict.json").read_bytes()
    first = interrupted(case, monkeypatch, after=3)
    rest = interrupted(case, monkeypatch, after=1000)
    assert len(first) == 3
    assert not set(first) & set(rest)
    assert {scope for scope, _ in (*first, *rest)} == {"beam 1", "beam 2", "plan"}
    assert (case.spool.results / "verdict.json").read_bytes() == whole
    assert not case.spool.comparison.exists()


@pytest.mark.parametrize("what", ["dose", "limits", "code", "spoiled"])
def test_checks_of_another_comparison_do_not_count(case, monkeypatch, what):
    first = interrupted(case, monkeypatch, after=3)
    if what == "dose":
        number, token = 1, tokens(case)[1]
        stored = open_dose(case.spool, number, token)
        store_dose(case.spool, number, replace(stored.dose, gy=stored.dose.gy * np.float32(1.01)), stored.whole, token)
    elif what == "limits":
        scale = case.judgement.dose_scale.model_copy(update={"pass_percent": 1.5})
        case = replace(case, judgement=case.judgement.model_copy(update={"dose_scale": scale}))
    elif what == "code":
        monkeypatch.setattr(comparison, "_code", lambda: "another")
        assert interrupted(case, monkeypatch, after=0) == []  # undoes it: the next one is of the first code again
    else:
        for path in case.spool.comparison.rglob("*.json"):
            flip(path)
    assert set(first) <= set(interrupted(case, monkeypatch, after=1000))
