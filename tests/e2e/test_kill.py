"""kill -9 in the middle of three steps: no case is lost, no job runs twice. `--long` kills at every step."""

from __future__ import annotations

from tests.e2e.kills import killed_at


def test_killed_at_three_steps_the_case_ends_right_and_no_job_runs_twice(site):
    killed_at([("submit", "begin"), ("follow", "begin"), ("deliver", "begin")], site, reports=False)
