"""A patient on the side through the whole program, with the real engine: the dose is that of the same phantom head
first supine, at its place in that patient."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.e2e.wrong_doses import computed
from tests.written import patient_in_room

KINDS = {"pass": "HFS", "decubitus": "HFDR"}
BESIDE = ("beam-1.dcm", "beam-2.dcm", "plan.dcm")


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    with computed(tmp_path_factory.mktemp("position"), KINDS) as evening:
        yield evening


def delivered(evening, kind, name):
    """Voxel centres in the room (n, 3), in mm, and their doses (n,), by place."""
    ds = pydicom.dcmread(Path(str(evening.cases[kind]["results"])) / "dose" / name)
    assert list(ds.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    low = np.array(ds.ImagePositionPatient, dtype=float)
    step = np.array([*reversed(ds.PixelSpacing), ds.GridFrameOffsetVector[1]], dtype=float)
    index = np.stack(np.meshgrid(*map(np.arange, ds.pixel_array.shape), indexing="ij"), axis=-1)[..., ::-1]
    places = (low + index * step).reshape(-1, 3) @ patient_in_room(KINDS[kind]).T
    order = np.lexsort(np.round(places, 3).T)
    return places[order], ds.pixel_array.ravel()[order] * float(ds.DoseGridScaling)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(840)
def test_both_pass_and_no_check_asks_for_anyone(evening, kind):
    case = evening.cases[kind]
    assert case["verdict"] == "pass", case["why"]
    document = json.loads((Path(str(case["results"])) / "verdict.json").read_text())
    assert not [check["name"] for check in document["checks"] if check["name"] == "patient_position"]


@pytest.mark.parametrize("name", BESIDE)
def test_the_dose_is_the_same_at_the_same_place_of_the_room(evening, name):
    places, dose = delivered(evening, "pass", name)
    others, other = delivered(evening, "decubitus", name)
    np.testing.assert_allclose(others, places, atol=1e-6)
    np.testing.assert_array_equal(other, dose)
    assert dose.max() > 1


def test_the_report_is_drawn_in_the_patient_system(evening):
    assert "generated" in evening.site.mqi("report", "decubitus").stdout
