"""kill -9 at every step, each at its beginning and at its end: no case is lost, no job runs twice."""

from __future__ import annotations

import pytest
from tests.e2e.kills import killed_at

from mqi_communicator.flow.steps.table import BEAM_STEPS, CASE_STEPS


@pytest.mark.timeout(560)
def test_killed_at_every_step_the_case_ends_right_and_no_job_runs_twice(site):
    killed_at([(step.name, moment) for step in (*CASE_STEPS, *BEAM_STEPS) for moment in ("begin", "done")], site)
