"""What was admitted, and what was judged, is what is read later: a bit that flipped on a disk here stops the case."""

from __future__ import annotations

import re

import pytest
from tests.fleet.cases import write_case

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.flow.paperwork.order import read_case
from mqi_communicator.flow.spool import Spool
from mqi_communicator.intake.admit import examine, load_manifest, take
from mqi_communicator.intake.options import IntakeOptions


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "watch").mkdir()
    folder = write_case(tmp_path / "watch", 1)
    made = Spool(tmp_path / "spool" / "abcd2345efgh")
    take(folder, made.case, examine(folder, IntakeOptions(), still_for=1e6))
    return made


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", [Kind.CT, Kind.PLAN])
def test_an_admitted_file_that_changed_in_the_spool_is_not_computed_from(spool, kind):
    read_case(spool)
    file = load_manifest(spool.manifest).of(kind)[0]
    flip(spool.case / file.stored)
    with pytest.raises(Permanent, match=f"{file.stored} .* {file.sha256[:16]}… when it was admitted") as told:
        read_case(spool)
    assert len(re.findall(r"[0-9a-f]{16}…", told.value.reason)) == 2
