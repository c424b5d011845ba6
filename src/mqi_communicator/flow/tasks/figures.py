"""The verdict of a case with its numbers, which the store keeps for trends over cases."""

from __future__ import annotations

from typing import Any

from mqi_communicator.case.figure import Figure
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.identity import identity_of
from mqi_communicator.flow.tasks.judge import judge_case
from mqi_communicator.results.documents import VERDICT, verdict_of


def judge_with_figures(
    spool: Spool, *judged: Any, now: float, **more: Any
) -> tuple[str, str, dict[str, str], list[Figure]]:
    """What `judge_case` returns, and the numbers of the verdict, made in one worker. The other arguments are those of
    `judge_case`."""
    word, why, digests = judge_case(spool, *judged, **more)
    return word, why, digests, figures_of(spool, now)


def figures_of(spool: Spool, now: float) -> list[Figure]:
    """The checks of the verdict in the spool, with the treatment machine of the plan."""
    machine = identity_of(spool).machine
    checks = verdict_of((spool.results / VERDICT).read_bytes()).checks
    found = {
        (check.name, check.scope): Figure(
            spool.root.name, check.name, check.scope, now, machine, check.outcome.value, check.value, check.unit
        )
        for check in checks
    }
    return list(found.values())
