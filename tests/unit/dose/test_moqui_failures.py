"""Each failure of moqui is recognised by its exit code, its log and its files: recorded from the stand-in.

`./test.sh --long` plays all of them in real processes; what is refused only when the dose is read is in
test_moqui_output.py.
"""

from __future__ import annotations

import pytest
from tests.standin import site
from tests.standin.failures import FAILS, FAST, READ, recorded

from mqi_communicator.dose.engine import Accepted, JobRequest, Refused

RECORDED = recorded()


def judge(fault, folder, code, log, sizes):
    flavour, options, *_ = FAILS[fault]
    engine = site.engine(site.sections(folder / "tps_env", folder / "beam_file.txt", flavour, **FAST, **options))
    return engine.job(JobRequest(1)).judge(code, log, sizes)


@pytest.mark.parametrize("fault", sorted(FAILS.keys() - READ))
def test_a_recorded_failure_is_told_and_tried_again_or_not(tmp_path, fault):
    seen = RECORDED[fault]
    _, _, code, words, retryable = FAILS[fault]
    judged = judge(fault, tmp_path, seen["code"], seen["log"], seen["sizes"])
    assert seen["code"] == code
    assert isinstance(judged, Refused), judged
    assert words in judged.why
    assert judged.retryable is retryable


def test_the_same_record_without_the_fault_is_accepted(tmp_path):
    """`short` differs from a good run by its sizes alone."""
    seen = RECORDED["short"]
    sizes = RECORDED["no-end"]["sizes"]
    assert isinstance(judge("short", tmp_path, seen["code"], seen["log"], sizes), Accepted)
