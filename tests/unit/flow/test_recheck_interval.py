"""How often a beam that waits for a job slot is checked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mqi_communicator.flow.steps.submit import FULL_S, MAX_PAUSE_S, recheck_in
from mqi_communicator.store.jobs import Refusal


@pytest.mark.parametrize(
    ("ahead", "slots", "seconds"), [(0, 3, 5), (2, 3, 5), (3, 3, 10), (9, 3, 20), (500, 3, MAX_PAUSE_S), (1, 0, 10)]
)
def test_the_next_beams_are_checked_each_tick_and_the_others_less_often(ahead, slots, seconds):
    host: Any = SimpleNamespace(slots=slots, scheduler=SimpleNamespace(tick_s=5.0))
    assert recheck_in(Refusal(in_use=max(slots - 1, 0), ahead=ahead), host) == seconds


def test_while_every_slot_is_in_use_the_end_of_a_job_is_waited_for():
    host: Any = SimpleNamespace(slots=3, scheduler=SimpleNamespace(tick_s=5.0))
    assert recheck_in(Refusal(in_use=3, ahead=0), host) == FULL_S
