"""The worklist: cases whose newest judgement somebody has to review and sign, the most urgent verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from mqi_communicator.case.signing import DUE
from mqi_communicator.store.cases import Case, as_case
from mqi_communicator.store.schema import cases, unindexed

URGENCY = ("fail", "review", "undecided", "not_judged", "pass")  # of verdicts, the most urgent first
_PASS = "pass"  # noqa: S105 - not a password


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """Filters; empty ones do not apply. Without a signer: the cases to sign; with one: what this user has signed."""

    plan: str = ""  # key of a case: those with the same plan label, so that no address holds a label
    machine: str = ""
    verdict: str = ""
    signer: str = ""
    since: float | None = None  # epoch seconds, of arrival
    until: float | None = None
    passes: bool = True  # whether a verdict of pass needs a signature

    @property
    def filtered(self) -> bool:
        """Whether any filter applies."""
        return self != WorklistQuery(passes=self.passes)


def worklist(connection: Connection, wanted: WorklistQuery, limit: int) -> list[Case]:
    """The first `limit` cases by verdict, then by rank; of a signer: the newest signatures first."""
    if wanted.signer:
        query = select(cases).where(*_conditions(connection, wanted)).order_by(cases.c.signed_at.desc()).limit(limit)
        return [as_case(row) for row in connection.execute(query)]
    found: list[Case] = []
    for verdict in _verdicts(wanted):  # one by one: each is read in the order of an index, and no further than needed
        if len(found) >= limit:
            break
        some: list[Case] = []
        for state in DUE:
            here = (*_conditions(connection, replace(wanted, verdict=verdict)), cases.c.signature == state.value)
            query = select(cases).where(*here).order_by(cases.c.rank, cases.c.key).limit(limit - len(found))
            some += [as_case(row) for row in connection.execute(query)]
        found += sorted(some, key=lambda case: (case.rank, case.key))[: limit - len(found)]
    return found


def counts(connection: Connection, wanted: WorklistQuery) -> dict[str, int]:
    """How many cases `worklist` would list without a limit, by verdict."""
    query = select(cases.c.word, func.count()).where(*_conditions(connection, wanted)).group_by(cases.c.word)
    found = {str(word): int(number) for word, number in connection.execute(query)}
    return {verdict: found[verdict] for verdict in URGENCY if verdict in found}


def _verdicts(wanted: WorklistQuery) -> tuple[str, ...]:
    known = URGENCY if wanted.passes else URGENCY[:-1]
    return tuple(verdict for verdict in known if wanted.verdict in ("", verdict))


def due(*, passes: bool) -> ColumnElement[bool]:
    """The condition of a case that somebody has to review and sign: `case.states.is_due`."""
    passed = cases.c.word == _PASS
    return and_(
        unindexed(cases.c.signature).in_(DUE),
        cases.c.superseded_by == "",
        or_(unindexed(cases.c.constancy) == "", ~passed) if passes else ~passed,
    )


def _conditions(connection: Connection, wanted: WorklistQuery) -> Iterator[ColumnElement[bool]]:
    """No plans with a newer revision; constancy samples only if they did not pass."""
    if wanted.signer:  # a case has a signer only while its newest judgement is signed
        yield cases.c.superseded_by == ""
        yield or_(unindexed(cases.c.constancy) == "", unindexed(cases.c.word) != _PASS)
        yield cases.c.signed_by == wanted.signer
    else:
        yield cases.c.signature.in_(DUE)
        yield due(passes=wanted.passes)
    if wanted.verdict:
        yield (unindexed(cases.c.word) if wanted.signer else cases.c.word) == wanted.verdict
    if wanted.machine:
        yield unindexed(cases.c.machine) == wanted.machine
    if wanted.plan:
        label = connection.execute(select(cases.c.plan_label).where(cases.c.key == wanted.plan)).scalar_one_or_none()
        yield unindexed(cases.c.plan_label) == label if label else cases.c.key == wanted.plan
    if wanted.since is not None:
        yield unindexed(cases.c.seen) >= wanted.since
    if wanted.until is not None:
        yield unindexed(cases.c.seen) < wanted.until
