"""The tables. One record, one truth, keyed by step name so that upgrades do not strand cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UnaryExpression,
)
from sqlalchemy.sql.operators import custom_op

metadata = MetaData()
T = TypeVar("T")
_MOST = 500  # values in one IN (...): SQLite has a limit, and so has its parser's patience


def unindexed(column: Column[T]) -> ColumnElement[T]:
    """The column in a condition for which SQLite chooses no index: another one is known to be better
    (https://sqlite.org/optoverview.html, "unary +")."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def batched(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Keys in portions that fit into one question."""
    return (keys[start : start + _MOST] for start in range(0, len(keys), _MOST))


ownership = Table(
    "ownership",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("epoch", Integer, nullable=False),  # grows with each owner; every write of the flow carries it
    Column("holder", Text, nullable=False),  # "pid 4711 on qa-host since 2026-01-31T08:00:00Z"
)

cases = Table(
    "cases",
    metadata,
    Column("key", Text, primary_key=True),
    Column("source", LargeBinary, nullable=False),  # the watched folder's path, as the bytes it has on disk
    Column("seen", Float, nullable=False),  # epoch seconds
    Column("fingerprint", Text, nullable=False),  # of the folder when last checked
    Column("changed", Float, nullable=False),  # epoch seconds, our clock: when the fingerprint last changed
    Column("lineage", Text, nullable=False, default=""),  # shared by the revisions of one plan
    Column("content", Text, nullable=False, default=""),  # digest of what was admitted
    Column("revision", Integer, nullable=False, default=1),
    Column("same_as", Text, nullable=False, default=""),  # key of the case that has the same content
    Column("superseded_by", Text, nullable=False, default=""),
    Column("word", Text, nullable=False, default=""),  # the verdict
    Column("why", Text, nullable=False, default=""),
    Column("results", Text, nullable=False, default=""),  # path of the delivered folder
    Column("host", Text, nullable=False, server_default=""),  # where it is computed; "" until it is uploaded
    Column("priority", Text, nullable=False, server_default="routine"),
    Column("rank", Float, nullable=False, server_default="0"),  # case.model.rank_of; the lowest goes first
    Column("demand", Text, nullable=False, server_default=""),  # JSON of dose.engine.GpuDemand, "" for none
    Column("constancy", Text, nullable=False, server_default=""),  # name of the sample; "" for a patient's case
    Column("extension", Text, nullable=False, server_default=""),  # results.extension.Extension.text, "" for none
    Column("signature", Text, nullable=False, server_default=""),  # case.signing.SignatureState
    Column("signed_by", Text, nullable=False, server_default=""),  # user of the last signature; "" if there is none
    Column("signed_at", Float, nullable=False, server_default="0"),  # epoch seconds of the last signature
    Column("patient_id", Text, nullable=False, server_default=""),  # case.identity.CaseIdentity, as admitted
    Column("plan_label", Text, nullable=False, server_default=""),
    Column("machine", Text, nullable=False, server_default=""),
    Column("kind", Text, nullable=False, server_default="plan"),  # case.model.CaseKind
    Column("parent", Text, nullable=False, server_default=""),  # key of the plan's case; "" until a delivery is joined
    Column("fraction", Text, nullable=False, server_default=""),  # labels of fractions, parted by commas
)
Index("cases_by_rank", cases.c.rank)
Index("cases_by_source", cases.c.source)
Index("cases_by_content", cases.c.content)
Index("cases_by_lineage", cases.c.lineage)
Index(  # names are searched in the index alone
    "cases_by_seen", cases.c.seen, cases.c.key, cases.c.source, cases.c.patient_id, cases.c.plan_label
)
Index("cases_by_constancy", cases.c.constancy, cases.c.seen)
Index("cases_by_word", cases.c.word, cases.c.seen)
Index(  # the worklist is counted in the index alone, with all of its filters
    "cases_by_signature",
    cases.c.signature,
    cases.c.word,
    cases.c.rank,
    cases.c.superseded_by,
    cases.c.constancy,
    cases.c.machine,
    cases.c.seen,
    cases.c.plan_label,
)
Index(  # and so are the cases that a user has signed
    "cases_by_signer",
    cases.c.signed_by,
    cases.c.signed_at,
    cases.c.word,
    cases.c.superseded_by,
    cases.c.constancy,
    cases.c.machine,
    cases.c.seen,
    cases.c.plan_label,
)
Index("cases_by_signature_seen", cases.c.signature, cases.c.seen)
Index("cases_by_patient", cases.c.patient_id)
Index("cases_by_machine", cases.c.machine, cases.c.seen)
Index("cases_by_label", cases.c.plan_label, cases.c.seen)
Index("cases_by_parent", cases.c.parent, cases.c.kind)

work_items = Table(
    "work_items",
    metadata,
    Column("case", Text, ForeignKey("cases.key"), primary_key=True),
    Column("beam", Integer, primary_key=True),
    Column("step", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("base_run", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("since", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("wanted", Text, nullable=False),
    Column("needs_person", Boolean, nullable=False),
)
Index("work_items_by_due", work_items.c.status, work_items.c.due)
Index("work_items_by_end", work_items.c.beam, work_items.c.status, work_items.c.since)

jobs = Table(
    "jobs",
    metadata,
    Column("token", Text, primary_key=True),
    Column("case", Text, ForeignKey("cases.key"), nullable=False),
    Column("beam", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("state", Text, nullable=False),  # claimed, or compute.scheduler.JobState
    Column("active", Boolean, nullable=False),  # holds a slot of the host
    Column("scheduler_id", Text, nullable=False, default=""),
    Column("claimed", Float, nullable=False),
    Column("started", Float),  # the host's clock
    Column("ended", Float),
    Column("exit_code", Integer),
    Column("percent", Float),
    Column("uncertainty", Float),
    Column("products", Text, nullable=False, default="{}"),  # JSON: path -> [bytes, sha256], as the job digested them
    Column("raw", Text, nullable=False, default=""),
    Column("gpus", Text, nullable=False, server_default=""),  # the GPUs leased to it, parted by commas
)
Index("jobs_by_host", jobs.c.host, jobs.c.active)
Index("jobs_by_case", jobs.c.case)
Index("jobs_by_end", jobs.c.host, jobs.c.exit_code, jobs.c.ended)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("case", Text, nullable=False),
    Column("beam", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("facts", Text, nullable=False),  # JSON
    Column("seq", Integer, nullable=False, server_default="0"),  # counts the events of a case from 1
    Column("link", Text, nullable=False, server_default=""),  # store.chain.link
)
Index("events_by_case", events.c.case, events.c.id)
Index("events_by_step", events.c.step, events.c.event, events.c.id)

orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("case", Text, nullable=False),
    Column("order", Text, nullable=False),  # store.orders.NAMES
    Column("beam", Integer, nullable=False, server_default="0"),  # for an order about one beam
    Column("detail", Text, nullable=False, server_default=""),  # for `priority`: which
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("applied", Float),
    Column("answer", Text, nullable=False, default=""),
)
Index("orders_by_case", orders.c.case, orders.c.id)

figures = Table(
    "figures",
    metadata,
    Column("case", Text, ForeignKey("cases.key"), primary_key=True),
    Column("name", Text, primary_key=True),  # of a check: gamma, dose_scale, ...
    Column("scope", Text, primary_key=True),  # "plan", "fraction", or "beam" and its number
    Column("at", Float, nullable=False),  # epoch seconds; when it was judged
    Column("machine", Text, nullable=False),  # TreatmentMachineName
    Column("word", Text, nullable=False),
    Column("value", Float),
    Column("unit", Text, nullable=False),
)
Index("figures_by_machine", figures.c.machine, figures.c.name, figures.c.scope, figures.c.at)

hosts = Table(
    "hosts",
    metadata,
    Column("name", Text, primary_key=True),  # of the host
    Column("seen", Float, nullable=False),  # epoch seconds
    Column("state", Text, nullable=False),  # JSON: its GPUs and slots, as last seen
)

notices = Table(
    "notices",
    metadata,
    Column("channel", Text, primary_key=True),  # webhook, mail
    Column("event", Integer, nullable=False),  # id of the last event that was handled
    Column("sent", Float, nullable=False),  # epoch seconds of the last message
)

breakers = Table(
    "breakers",
    metadata,
    Column("name", Text, primary_key=True),  # host and kind of work
    Column("state", Text, nullable=False),  # JSON of flow.breaker.Breaker
)
