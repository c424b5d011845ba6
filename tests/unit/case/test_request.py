"""The fault that a host's response reports."""

from __future__ import annotations

import pytest

from mqi_communicator.case.faults import ActionRequired, DiskFull, Transient
from mqi_communicator.case.request import RemoteResponse, trouble

pytestmark = pytest.mark.pure


def test_a_read_only_disk_is_waited_for():
    """A fault round found it: it counted tries, and a case failed at `tidy`."""
    fault = trouble(
        RemoteResponse(2, "", "sh: 290: cannot create /w/staging/k.lock: Read-only file system"), "removing"
    )
    assert isinstance(fault, ActionRequired)
    assert "read-only" in fault.reason


@pytest.mark.parametrize("output", ["No space left on device", "Disk quota exceeded", "File too large"])
def test_a_full_disk_is_recognized_in_any_output(output):
    assert isinstance(
        trouble(RemoteResponse(1, "mqi-trouble not-written", f"cat: write error: {output}"), "writing"), DiskFull
    )


def test_unknown_reports_are_retried():
    fault = trouble(RemoteResponse(3, "", "something else"), "polling")
    assert isinstance(fault, Transient)
    assert "something else" in fault.reason
