"""An outage with cases waiting, and the settings that ship. `./test.sh --faults -- --outage 200` plays a longer one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.outage import wait_out

pytestmark = pytest.mark.real


def test_nobody_is_needed_and_no_beam_runs_twice(tmp_path: Path):
    reported = wait_out(tmp_path, cases=4, minutes=0.5)
    assert reported.wrong == []
    assert reported.done_before < reported.cases
    assert reported.attempts > 0
    assert reported.runs == 3 * reported.cases
