"""What is printed of rounds, and the table for docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.faults.catalogue import Fault
from tests.faults.points import POINTS
from tests.faults.round import BAD, Outcome


def told(outcome: Outcome) -> str:
    """A round in one line."""
    counts = ", ".join(f"{len(getattr(outcome, name))} {name}" for name in BAD)
    return (
        f"{outcome.done} of {outcome.cases} cases done, {outcome.cancelled} cancelled, {sum(outcome.faults.values())} faults, "
        f"{outcome.kills} kills ({len(outcome.points)} at points), {counts}; quiet after {outcome.recovered_s:.0f} s, "
        f"{outcome.took_s:.0f} s in all"
    )


def print_list(every: Mapping[str, Fault]) -> None:
    for fault in every.values():
        print(f"{fault.name:32} {fault.what}")


def print_table(outcomes: Sequence[Outcome], every: Mapping[str, Fault], *, mounted: bool) -> None:
    injected = sum((Counter(outcome.faults) for outcome in outcomes), Counter())
    points = {point for outcome in outcomes for point in outcome.points}
    seen = {point for outcome in outcomes for point in outcome.seen}
    for name in every:
        print(f"{name:32} {injected[name]:5}")
    for name in BAD:
        print(f"{name:32} {sum(len(getattr(outcome, name)) for outcome in outcomes):5}")
    print(f"rounds {len(outcomes)}, faults {sum(injected.values())}, kills {sum(o.kills for o in outcomes)}")
    print(f"kill points: {len(points)} of {len(POINTS)} hit; passed and not hit: {sorted(seen - points)}")
    print(f"passed and not in the list: {sorted(seen - set(POINTS))}")
