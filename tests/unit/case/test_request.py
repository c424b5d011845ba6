"""What a host says that stood in the way of a question, as a fault."""

from __future__ import annotations

import pytest

from mqi_communicator.case.faults import ActionRequired, DiskFull, Transient
from mqi_communicator.case.request import RemoteResponse, trouble

pytestmark = pytest.mark.pure


def test_a_disk_that_can_only_be_read_is_waited_for():
    """A fault round found it: it counted tries, and a case that was to be tidied up failed."""
    fault = trouble(
        RemoteResponse(2, "", "sh: 290: cannot create /w/staging/k.lock: Read-only file system"), "removing"
    )
    assert isinstance(fault, ActionRequired)
    assert "read-only" in fault.reason


@pytest.mark.parametrize("said", ["No space left on device", "Disk quota exceeded", "File too large"])
def test_a_full_disk_is_one_whatever_else_was_said(said):
    assert isinstance(
        trouble(RemoteResponse(1, "mqi-trouble not-written", f"cat: write error: {said}"), "writing"), DiskFull
    )


def test_words_that_nobody_knows_are_tried_again():
    fault = trouble(RemoteResponse(3, "", "something else"), "polling")
    assert isinstance(fault, Transient)
    assert "something else" in fault.reason
