"""The timeline of a case: bars over time, derived from its events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.case.model import CASE_ITEM, Event
from mqi_communicator.case.views import CaseView

WAIT = "wait"  # waiting for a job slot, a worker or other beams
HELD = "held"
ALL_WORK = ("follow",)  # its attempts only poll; the work is done on the host
_ENDS = ("case.done", "beam.done", "case.cancelled", "beam.cancelled", "step.failed")
_LEAVES = (*_ENDS, "step.done", "run.superseded", "case.resent", "case.extended")


@dataclass(frozen=True, slots=True)
class Bar:
    """A period, in epoch seconds. `kind` is a step's name, "wait" or "held"."""

    step: str
    kind: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Row:
    """The bars of the case itself (beam 0) or of one beam."""

    beam: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All rows and the period that they cover."""

    begin: float
    end: float
    rows: tuple[Row, ...]

    def position(self, at: float) -> float:
        """A time as a position from 0 to 1000."""
        return 1000.0 * (at - self.begin) / max(self.end - self.begin, 1e-9)


def timeline(case: CaseView, events: Sequence[Event], now: float) -> Timeline:
    """The rows of a case. A case or beam that is still in progress extends to `now`."""
    live = {beam.beam: beam.step for beam in case.beams if beam.status in ("ready", "waiting", "held")}
    if case.status in ("ready", "waiting", "held"):
        live[CASE_ITEM] = case.step
    numbers = sorted({event.beam for event in events} | {CASE_ITEM})
    rows = [Row(number, _bars([e for e in events if e.beam == number], live.get(number), now)) for number in numbers]
    bars = [bar for row in rows for bar in row.bars]
    begin = min((bar.begin for bar in bars), default=case.seen)
    end = max((bar.end for bar in bars), default=now)
    return Timeline(begin, end, tuple(row for row in rows if row.bars))


def _bars(events: Sequence[Event], live: str | None, now: float) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    begin: float | None = None
    held = False
    for event in events:
        if begin is None:
            begin, held = event.at, event.event == "order.hold"
            if event.event not in _LEAVES:
                continue
        if event.event == "order.hold":
            bars += _waiting_and_active(event.step, begin, event.at, event.at - begin)
            begin, held = event.at, True
        elif event.event == "order.release" and held:
            bars.append(Bar(event.step, HELD, begin, event.at))
            begin, held = event.at, False
        elif event.event in _LEAVES:
            bars += _waiting_and_active(event.step, begin, event.at, _took(event))
            begin, held = (None if event.event in _ENDS else event.at), False
    if live is not None and begin is not None and now > begin:
        bars.append(Bar(live, HELD if held else live if live not in ("compare", "submit") else WAIT, begin, now))
    return tuple(bar for bar in bars if bar.seconds > 0)


def _took(event: Event) -> float:
    took = event.facts.get("took_s")
    return float(took) if isinstance(took, int | float) else 0.0


def _waiting_and_active(step: str, begin: float, end: float, took: float) -> list[Bar]:
    """The time at one step: first waiting, then the attempt that succeeded."""
    if step in ALL_WORK:
        return [Bar(step, step, begin, end)]
    works = max(begin, end - took)
    return [Bar(step, WAIT, begin, works), Bar(step, step, works, end)]


def durations(made: Timeline) -> list[tuple[int, str, float, float]]:
    """The same as numbers: (beam, step, seconds active, seconds waiting), in the order of the steps."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in made.rows:
        for bar in row.bars:
            work, wait = found.setdefault((row.beam, bar.step), [0.0, 0.0])
            found[row.beam, bar.step] = (
                [work, wait + bar.seconds] if bar.kind in (WAIT, HELD) else [work + bar.seconds, wait]
            )
    return [(beam, step, work, wait) for (beam, step), (work, wait) in found.items()]
