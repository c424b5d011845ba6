"""Prometheus metrics: counters fold over events, gauges are read at scrape time. No label holds a case or a patient:
labels are names of steps, outcomes, verdicts, configured hosts and the like only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mqi_communicator.case.model import Event
from mqi_communicator.telemetry import catalogue as names
from mqi_communicator.telemetry import gauges
from mqi_communicator.telemetry.gauges import Reading

__all__ = ["CONTENT_TYPE", "Metrics", "Reading"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"  # the label value of what is not on its list

_SECONDS = (0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_OUTCOMES = {
    "step.done": "done",
    "case.done": "done",
    "beam.done": "done",
    "step.waiting": "waiting",
    "step.retried": "retried",
    "step.action_required": "action_required",
    "step.failed": "failed",
    "run.superseded": "new_run",
    "case.cancelled": "cancelled",
    "beam.cancelled": "cancelled",
}
_OPERATIONS = (
    *("send", "fetch", "workspace", "space", "settled", "settle", "remove", "left", "runs"),
    *("clock", "submit", "poll", "cancel", "slurm_submit", "slurm_poll", "slurm_cancel"),
)
_DIRECTIONS = {"sent": "sent_bytes", "fetched": "fetched_bytes"}  # and the fact with the number of bytes
_OPERATION_OUTCOMES = ("done", "unreachable", "too_long", "absurd", "refused", "failed")


class Metrics:
    """All metrics of one communicator, in a registry of their own.

    `steps` and `verdicts` are the values that the labels `step` and `verdict` may take. `read` is called at each
    scrape; when it raises, the counters are still exposed and `mqi_gauges_up` is 0. `dashboard_pid`: of its process, if
    it runs.
    """

    def __init__(
        self,
        steps: Collection[str],
        verdicts: Collection[str],
        read: Callable[[], Reading],
        *,
        dashboard_pid: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._steps, self._verdict_names, self._read = frozenset(steps), frozenset(verdicts), read
        self._registry = registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series a counter, which nobody needs
        ProcessCollector(registry=registry)
        ProcessCollector("dashboard", lambda: dashboard_pid() or "none", registry=registry)
        self._ended, self._retries = _counter(names.STEPS, registry), _counter(names.RETRIES, registry)
        self._took, self._called = _histogram(names.STEP_TIME, registry), _histogram(names.CALL_TIME, registry)
        self._verdicts, self._remote = _counter(names.VERDICTS, registry), _counter(names.CALLS, registry)
        self._bytes = _counter(names.BYTES, registry)
        self._histories, self._computed = _counter(names.HISTORIES, registry), _counter(names.COMPUTE_TIME, registry)
        # Every counter starts at 0: the first failure is then an increase, not a new series.
        for step in steps:
            self._retries.labels(step)
            for outcome in set(_OUTCOMES.values()):
                self._ended.labels(step, outcome)
        for verdict in verdicts:
            self._verdicts.labels(verdict)
        for direction in _DIRECTIONS:
            self._bytes.labels(direction)
        registry.register(_Gauges(self._read_bounded))

    def fold(self, event: Event) -> None:
        """Count one event. Facts understood: took_s (s), word (of a verdict), sent_bytes, fetched_bytes, histories,
        job_started and job_ended (epoch seconds)."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is None:
            return
        step = _bounded(event.step, self._steps)
        self._ended.labels(step, outcome).inc()
        if outcome == "retried":
            self._retries.labels(step).inc()
        if (took := _number(event.facts.get("took_s"))) is not None:
            self._took.labels(step).observe(took)
        if outcome == "done" and (verdict := event.facts.get("word")):
            self._verdicts.labels(_bounded(str(verdict), self._verdict_names)).inc()
        for direction, fact in _DIRECTIONS.items():
            if (size := _number(event.facts.get(fact))) is not None:
                self._bytes.labels(direction).inc(size)
        self._count_histories(event)

    def _count_histories(self, event: Event) -> None:
        """Only where both are known: their ratio is the speed of the engine."""
        histories = _number(event.facts.get("histories"))
        began, ended = (_number(event.facts.get(name)) for name in ("job_started", "job_ended"))
        if histories is not None and began is not None and ended is not None and ended > began:
            self._histories.inc(histories)
            self._computed.inc(ended - began)

    def remote(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one call to a host and its time in s: operation is a command of the host script, send or fetch; outcome
        is done, unreachable, too_long, absurd, refused or failed; anything else counts as `other`."""
        known = _bounded(operation, _OPERATIONS)
        self._remote.labels(known, _bounded(outcome, _OPERATION_OUTCOMES)).inc()
        self._called.labels(known).observe(seconds)

    def render(self) -> bytes:
        """The page for Prometheus, of type CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _read_bounded(self) -> Reading:
        reading = self._read()
        items: dict[tuple[str, str], int] = {}
        blocked: dict[str, int] = {}
        ages: dict[str, float] = {}
        for (step, status), count in reading.items.items():
            key = (_bounded(step, self._steps), status)
            items[key] = items.get(key, 0) + count
        for step, count in reading.action_required.items():
            known = _bounded(step, self._steps)
            blocked[known] = blocked.get(known, 0) + count
        for step, age in reading.queue_age_s.items():
            known = _bounded(step, self._steps)
            ages[known] = max(ages.get(known, 0.0), age)
        return replace(reading, items=items, action_required=blocked, queue_age_s=ages)


class _Gauges:
    """A collector that reads the current values at each scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Describe the gauges without reading anything."""
        yield from gauges.families(Reading())
        yield gauges.up(answered=True)

    def collect(self) -> Iterator[Metric]:
        """The gauges with their current values."""
        try:
            reading = self._read()
        except Exception:  # noqa: BLE001 - a store that does not answer must not hide the counters
            yield gauges.up(answered=False)
            return
        yield from gauges.families(reading)
        yield gauges.up(answered=True)


def _counter(spec: names.Spec, registry: CollectorRegistry) -> Counter:
    return Counter(spec.name, spec.text, spec.labels, registry=registry)


def _histogram(spec: names.Spec, registry: CollectorRegistry) -> Histogram:
    return Histogram(spec.name, spec.text, spec.labels, buckets=_SECONDS, registry=registry)


def _bounded(value: str, allowed: Collection[str]) -> str:
    return value if value in allowed else OTHER


def _number(value: object) -> float | None:
    """A finite count or duration, else None: counters never go down, and a fact may be anything."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    return None
