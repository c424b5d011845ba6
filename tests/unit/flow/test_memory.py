"""What memory a case needs, as the documents and `mqi check` say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mqi_communicator.flow.memory import advice, largest_ct, needed_gib

pytestmark = pytest.mark.pure

SLICE = 512 * 512
PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
ROWS = re.findall(r"^\| 512 x 512 x (\d+) \| (.*?) \| ([\d.]+) GiB \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("slices", "planned", "gib"), ROWS)
def test_the_documents_have_the_numbers_of_the_program(slices, planned, gib):
    voxels = SLICE * int(slices)
    planned_voxels = voxels if planned == "on the CT's grid" else voxels // 15
    assert f"{needed_gib(voxels, planned_voxels):.1f}" == gib


def test_the_largest_ct_needs_the_memory_that_there_is():
    assert len(ROWS) == 4
    for limit in (2.5, 4.0, 8.0):
        voxels = largest_ct(limit)
        assert needed_gib(voxels, voxels) <= limit < needed_gib(voxels + SLICE, voxels + SLICE)
    assert largest_ct(0.1) == 0
    assert "44 per voxel" in advice()
