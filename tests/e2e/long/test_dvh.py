"""Dose-volume histograms of a sample against those of plastimatch, which is another implementation."""

from __future__ import annotations

import csv
import shutil
import subprocess

import numpy as np
import pytest

from mqi_communicator.demo.sample import write_sample
from mqi_communicator.dicom.contours import read_contours
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Medium
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.results.dvh import dvh

PLASTIMATCH = shutil.which("plastimatch")
pytestmark = pytest.mark.skipif(
    PLASTIMATCH is None, reason="plastimatch is not installed: ./test.sh --long installs it with apt-get"
)
COURSE = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)


def plastimatch(*words: object) -> None:
    subprocess.run([str(PLASTIMATCH), *map(str, words)], check=True, capture_output=True, timeout=300)


def test_histograms_are_those_of_plastimatch(tmp_path):
    """Plastimatch rasterizes the contours on voxels of 1 mm and interpolates the dose to them."""
    case, plan = tmp_path / "case", tmp_path / "plan"
    write_sample(case, size="standard")
    plan.mkdir()
    for path in (*case.glob("CT.*"), case / "RS.dcm", case / "RD.plan.dcm"):
        shutil.copy(path, plan)
    dose, fine, image, names, table = (tmp_path / name for name in ("d.nrrd", "f.nrrd", "s.nrrd", "s.txt", "dvh.csv"))
    plastimatch("convert", "--input", plan, "--output-dose-img", dose)
    plastimatch("resample", "--input", dose, "--output", fine, "--spacing", "1 1 1", "--interpolation", "linear")
    plastimatch("convert", "--input", plan, "--fixed", fine, "--output-ss-img", image, "--output-ss-list", names)
    plastimatch(
        *("dvh", "--input-ss-img", image, "--input-ss-list", names, "--input-dose", fine),
        *("--output-csv", table, "--bin-width", "0.01", "--num-bins", "1300"),
    )
    with table.open() as file:
        rows = list(csv.DictReader(file))
    planned = read_rtdose(case / "RD.plan.dcm", COURSE)
    compared = []
    for structure in read_contours(case / "RS.dcm"):
        made = dvh(structure.contours, 3.0, planned, planned)
        if made is None or made.covered < 0.999:
            continue  # plastimatch takes the dose outside the grid for zero
        compared.append(structure.name)
        theirs = np.array([100 * float(row[structure.name]) for row in rows])
        levels = np.array([float(row["Dose (Gy)"]) for row in rows])
        for percent in np.linspace(2, 98, 25):
            off = made.planned.dose_at(percent) - float(np.interp(-percent, -theirs, levels))
            assert abs(off) < 0.12, (structure.name, percent)  # of 10 Gy
    assert "Target" in compared
