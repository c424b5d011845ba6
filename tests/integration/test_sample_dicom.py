"""The samples are conformant DICOM by an independent checker, and their planned dose is what the engine computes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.seldom import seldom

from mqi_communicator.demo.planned import planned_dose
from mqi_communicator.demo.sample import KINDS, sample_files, write_sample
from mqi_communicator.demo.sample_kinds import NOT_CONFORMANT
from mqi_communicator.demo.truth import FRACTIONS, STANDARD, TINY
from mqi_communicator.demo.truth_engine import compute
from mqi_communicator.dicom.plan import sound_plan

pytestmark = pytest.mark.real
ENGINE = Path(__file__).parents[2] / ".setup" / "mcsquare"
MZ, MY, MX = TINY.margin
INNER = (slice(MZ, -MZ), slice(MY, -MY), slice(MX, -MX))


@pytest.fixture(scope="module")
def good_files():
    return sample_files("pass", "tiny")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize(
    "kind", seldom(sorted(set(KINDS) - NOT_CONFORMANT), often=["pass", "aperture", "couch", "prone"])
)
def test_conformant(tmp_path, kind):
    write_sample(tmp_path, kind=kind, size="tiny")
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    slices = [p for p in files if "CT" in str(p.relative_to(tmp_path))]
    for path in [slices[0], *(p for p in files if p not in slices)]:
        output = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert not [line for line in (output.stdout + output.stderr).splitlines() if "Error" in line], path.name


def _compute(tmp_path, kind):
    """The first beam of a tiny sample, from its DICOM plan, by the truth's own writer: Gy of the course."""
    write_sample(tmp_path / kind, kind=kind, size="tiny")
    beam = sound_plan(tmp_path / kind / "RP.dcm").beams[0]
    run = compute(ENGINE, TINY.computed, beam, tmp_path / f"{kind}-run", histories=60_000, seed=11, threads=1)
    return run.gy[INNER] * FRACTIONS


def _centre(gy, axis):
    """Centre of the high dose along an axis [z, y, x], in mm."""
    weights = np.where(gy > 0.3 * gy.max(), gy, 0.0)
    other = tuple(k for k in range(3) if k != axis)
    along = weights.sum(axis=other)
    return float(along @ TINY.dose_grid.axes()[axis] / along.sum())


def _end(gy):
    """Where the anterior beam's depth dose (summed across) falls to 80 % of its maximum, along y in mm."""
    y = TINY.dose_grid.axes()[1]
    profile = gy.sum(axis=(0, 2))
    top = int(profile.argmax())
    after = np.flatnonzero(profile[top:] < 0.8 * profile[top])[0] + top
    return float(np.interp(-0.8 * profile[top], -profile[[after - 1, after]], y[[after - 1, after]]))


@pytest.mark.long
@pytest.mark.skipif(not (ENGINE / "MCsquare_linux").exists(), reason="the engine is not fetched")
def test_the_engine_finds_the_planned_dose_and_the_planted_errors(tmp_path):
    planned = planned_dose(TINY)[1]
    good, deep, shifted = (_compute(tmp_path, kind) for kind in ("pass", "range-error", "shift-error"))
    high = planned > 0.5 * planned.max()
    assert good[high].sum() / planned[high].sum() == pytest.approx(1.0, abs=0.01)
    assert np.corrcoef(good[high], planned[high])[0, 1] > 0.97
    assert _end(good) == pytest.approx(_end(planned), abs=0.5)
    assert _end(deep) - _end(planned) == pytest.approx(5.0, abs=1.0)
    assert _centre(shifted, 0) - _centre(planned, 0) == pytest.approx(3.0, abs=0.7)
    assert _centre(good, 0) == pytest.approx(_centre(planned, 0), abs=0.3)


@pytest.mark.long
@pytest.mark.skipif(not (ENGINE / "MCsquare_linux").exists(), reason="the engine is not fetched")
def test_on_the_wide_ct_every_proton_starts_inside(tmp_path):
    beam = STANDARD.beams()[1]
    run = compute(ENGINE, STANDARD.computed, beam, tmp_path / "run", histories=20_000, seed=11, threads=1)
    assert run.outside == 0
