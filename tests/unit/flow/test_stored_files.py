"""Admitted and judged files are verified when they are read: a bit that flipped on a local disk stops the case."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest
from tests.fleet.cases import write_case

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digests_of
from mqi_communicator.flow.tasks.engine_input import read_case
from mqi_communicator.flow.tasks.manifest import Record, deliver_case
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.spooling import copy_to_spool
from mqi_communicator.store.chain import Entry


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "watch").mkdir()
    folder = write_case(tmp_path / "watch", 1)
    made = Spool(tmp_path / "spool" / "abcd2345efgh")
    copy_to_spool(folder, made.case, examine(folder, IntakeOptions(), still_for=1e6))
    return made


@pytest.fixture
def deliver(spool, tmp_path):
    """Deliver what was just judged."""
    (spool.results / "dose").mkdir(parents=True)
    (spool.results / "dose" / "plan.dcm").write_bytes(b"a dose")
    (spool.results / "verdict.json").write_bytes(b"{}")
    facts = json.dumps({"outputs": digests_of(spool.results)})
    judged = Entry(1, 1, 1.0, "abcd2345efgh", 0, "step.done", "compare", "", "", "", "", facts, "0" * 64)
    record = Record([], [judged], {}, Basis("1", "0" * 64))
    (tmp_path / "results").mkdir()
    return partial(deliver_case, spool, record, tmp_path / "results")


def test_a_result_that_changed_before_its_delivery_is_not_delivered(spool, deliver, tmp_path):
    flip(spool.results / "dose" / "plan.dcm")
    with pytest.raises(Permanent, match=r"dose/plan\.dcm .* [0-9a-f]{16}… now and had [0-9a-f]{16}… when"):
        deliver()
    assert list((tmp_path / "results").iterdir()) == []


def test_an_unjudged_result_is_not_delivered(spool, deliver):
    (spool.results / "dose" / "beam-1.dcm").write_bytes(b"where from?")
    with pytest.raises(Permanent, match=r"dose/beam-1\.dcm"):
        deliver()


def test_an_unchanged_result_is_delivered(deliver):
    assert {path.name for path in deliver().iterdir()} == {"dose", "verdict.json", "events.jsonl", "manifest.json"}


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", [Kind.CT, Kind.PLAN])
def test_an_admitted_file_that_changed_in_the_spool_is_not_computed_from(spool, kind):
    read_case(spool)
    file = load_manifest(spool.manifest).of(kind)[0]
    flip(spool.case / file.stored)
    with pytest.raises(Permanent, match=f"{file.stored} .* {file.sha256[:16]}… when it was admitted") as raised:
        read_case(spool)
    assert len(re.findall(r"[0-9a-f]{16}…", raised.value.reason)) == 2
