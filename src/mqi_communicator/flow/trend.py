"""The trend of a machine: the figures of its last delivered cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from mqi_communicator.case.figure import FRACTION, Figure
from mqi_communicator.results.trend import OF_FRACTIONS, FractionRow, Row, Trend, TrendPosition, largest_deviation
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import cases, figures

LAST = 200  # cases
_OF_PLAN = ("gamma", "dose_scale")
_RANGE = "range_r80"
_FRACTION_MU = "fraction_mu"


def trend_of(connection: Connection, machine: str, limit: int = LAST, before: float = math.inf) -> Trend:
    """The last delivered cases of a machine that were judged before a time, oldest first.

    Constancy samples and cases that were not judged are left out: their figures are not comparable.
    """
    found = [one for name in _OF_PLAN for one in figures.trend(connection, machine, name, limit=limit, before=before)]
    rows = [_row(key, mine, word) for key, mine, word in _delivered(connection, found)]
    return Trend(machine, tuple(sorted(rows, key=lambda row: (row.at, row.case))[-limit:]))


def fraction_trend_of(connection: Connection, machine: str, limit: int = LAST) -> Trend:
    """The last fractions that a machine delivered, oldest first, without those that were not judged."""
    found = figures.trend(connection, machine, _FRACTION_MU, FRACTION, limit)
    rows = [_fraction_row(key, mine, word) for key, mine, word in _delivered(connection, found)]
    return Trend(machine, tuple(sorted(rows, key=lambda row: (row.at, row.case))[-limit:]), OF_FRACTIONS)


def _delivered(connection: Connection, found: Sequence[Figure]) -> Iterator[tuple[str, list[Figure], str]]:
    """(key, all figures, verdict) of the cases with some figures that are delivered and judged."""
    keys = list(dict.fromkeys(one.case for one in found))
    delivered = {key: case for key, case in cases.get_many(connection, keys).items() if case.results}
    kept: dict[str, list[Figure]] = {key: [] for key in delivered}
    for one in figures.of_cases(connection, list(delivered)):
        kept[one.case].append(one)
    for key, case in delivered.items():
        if case.word != CheckOutcome.NOT_JUDGED:
            yield key, kept[key], case.word


def trends(
    connection: Connection,
    machine: str = "",
    limit: int = LAST,
    of: Callable[[Connection, str, int], Trend] = trend_of,
) -> tuple[list[str], list[Trend]]:
    """All known machines, and the trend of each, or of `machine` alone, that has cases to show. `of`: `trend_of` or
    `fraction_trend_of`."""
    known = figures.machines(connection)
    wanted = [name for name in known if machine in ("", name)]
    return known, [made for name in wanted if (made := of(connection, name, limit)).rows]


def placed(connection: Connection, key: str) -> TrendPosition | None:
    """A case compared with those judged before it on its machine; None without figures, or for a constancy sample."""
    own, case = figures.of_cases(connection, [key]), cases.get(connection, key)
    if not own or case.constancy or case.word == CheckOutcome.NOT_JUDGED:
        return None
    row = _row(key, own, case.word)
    return TrendPosition(row, trend_of(connection, own[0].machine, before=row.at))


def _row(key: str, found: Sequence[Figure], word: str) -> Row:
    plan = {one.name: one.value for one in found if one.scope == "plan"}
    ranges = [one.value for one in found if one.name == _RANGE and one.value is not None]
    return Row(key, found[0].at, word, plan.get("gamma"), plan.get("dose_scale"), largest_deviation(ranges))


def _fraction_row(key: str, found: Sequence[Figure], word: str) -> FractionRow:
    values = {one.name: one.value for one in found if one.scope == FRACTION}
    return FractionRow(key, found[0].at, word, **{name: values.get(name) for name in OF_FRACTIONS})
