"""Numbers for Prometheus: counters fold over events, gauges are read at scrape time. No case and no patient stands in a
label: labels are the names of steps, outcomes, verdict words, configured hosts and the like, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mqi_communicator.case.model import Event

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"  # what a label says whose value is not on its list
BREAKER_STATES = ("closed", "half_open", "open")

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_OUTCOMES = {
    "step.done": "done",
    "line.done": "done",
    "step.waiting": "waiting",
    "step.retried": "retried",
    "step.needs_person": "needs_person",
    "step.failed": "failed",
    "run.superseded": "new_run",
    "line.cancelled": "cancelled",
}
_OPERATIONS = (
    *("send", "fetch", "workspace", "space", "settled", "settle", "remove", "left", "runs"),
    *("submit", "poll", "cancel", "slurm_submit", "slurm_poll", "slurm_cancel"),
)
_OPERATION_OUTCOMES = ("done", "unreachable", "too_long", "refused", "failed")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the gauges show, as it is now. None or an empty mapping: not known, and then not shown."""

    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (step, status) -> lines
    breakers: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (host, kind of work) -> closed, ...
    oldest_waiting_s: float | None = None  # s
    last_progress: float | None = None  # epoch seconds
    disk_free: Mapping[str, float] = field(default_factory=dict)  # "local", "remote" -> bytes
    jobs: Mapping[str, int] = field(default_factory=dict)  # host -> jobs that hold a slot of it
    job_slots: Mapping[str, int] = field(default_factory=dict)
    backup_age_s: float | None = None  # s


class Metrics:
    """All metrics of one communicator, in a registry of their own.

    `steps` and `words` are the values that the labels of that name may take. `read` is called at each scrape; when
    it raises, the counters are still shown and `mqi_gauges_up` is 0.
    """

    def __init__(self, steps: Collection[str], words: Collection[str], read: Callable[[], Reading]) -> None:
        self._steps, self._words, self._read = frozenset(steps), frozenset(words), read
        self._registry = registry = CollectorRegistry()
        self._ended = Counter(
            "mqi_steps", "Tries of steps, by what came of them.", ("step", "outcome"), registry=registry
        )
        self._took = Histogram(
            "mqi_step_duration_seconds", "Time one try of a step took.", ("step",), buckets=_SECONDS, registry=registry
        )
        self._verdicts = Counter("mqi_verdicts", "Verdicts reached, by word.", ("word",), registry=registry)
        self._remote = Counter(
            "mqi_remote_operations",
            "Calls to the host, by what came of them.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._retries = Counter("mqi_retries", "Tries that failed and are repeated.", ("step",), registry=registry)
        self._bytes = Counter(
            "mqi_transferred_bytes", "Bytes sent to the host or fetched from it.", ("direction",), registry=registry
        )
        registry.register(_Gauges(self._read_bounded))

    def fold(self, event: Event) -> None:
        """Count one event. Facts understood: took_s (s), word (of a verdict), sent_bytes, fetched_bytes."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is None:
            return
        step = _bounded(event.step, self._steps)
        self._ended.labels(step, outcome).inc()
        if outcome == "retried":
            self._retries.labels(step).inc()
        if (took := _number(event.facts.get("took_s"))) is not None:
            self._took.labels(step).observe(took)
        if outcome == "done" and (word := event.facts.get("word")):
            self._verdicts.labels(_bounded(str(word), self._words)).inc()
        for direction, fact in (("sent", "sent_bytes"), ("fetched", "fetched_bytes")):
            if (size := _number(event.facts.get(fact))) is not None:
                self._bytes.labels(direction).inc(size)

    def remote(self, operation: str, outcome: str) -> None:
        """Count one call to a host: operation is a verb of the script there, send or fetch; outcome is done,
        unreachable, too_long, refused or failed; anything else counts as `other`."""
        self._remote.labels(_bounded(operation, _OPERATIONS), _bounded(outcome, _OPERATION_OUTCOMES)).inc()

    def render(self) -> bytes:
        """The page for Prometheus, of type CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _read_bounded(self) -> Reading:
        reading = self._read()
        lines: dict[tuple[str, str], int] = {}
        for (step, status), count in reading.lines.items():
            key = (_bounded(step, self._steps), status)
            lines[key] = lines.get(key, 0) + count
        return Reading(
            lines=lines,
            breakers=reading.breakers,
            oldest_waiting_s=reading.oldest_waiting_s,
            last_progress=reading.last_progress,
            disk_free=reading.disk_free,
            jobs=reading.jobs,
            job_slots=reading.job_slots,
            backup_age_s=reading.backup_age_s,
        )


class _Gauges:
    """A collector that asks for the present state at each scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Name the gauges without reading anything."""
        yield from _gauges(Reading())
        yield _up(answered=True)

    def collect(self) -> Iterator[Metric]:
        """The gauges as they are now."""
        try:
            reading = self._read()
        except Exception:  # noqa: BLE001 - a store that does not answer must not hide the counters
            yield _up(answered=False)
            return
        yield from _gauges(reading)
        yield _up(answered=True)


def _gauges(now: Reading) -> Iterator[Metric]:
    lines = GaugeMetricFamily("mqi_lines", "Lines of cases and beams, by step and status.", labels=("step", "status"))
    for (step, status), count in sorted(now.lines.items()):
        lines.add_metric((step, status), count)
    yield lines
    states = GaugeMetricFamily(
        "mqi_breaker_state", "1 for the state the breaker is in.", labels=("host", "work", "state")
    )
    for (host, work), current in sorted(now.breakers.items()):
        for state in BREAKER_STATES:
            states.add_metric((host, work, state), float(state == current))
    yield states
    for name, text, counts in (
        ("mqi_jobs", "Jobs that hold a slot of the host.", now.jobs),
        ("mqi_job_slots", "Slots of the host.", now.job_slots),
    ):
        held = GaugeMetricFamily(name, text, labels=("host",))
        for host, count in sorted(counts.items()):
            held.add_metric((host,), count)
        yield held
    free = GaugeMetricFamily("mqi_disk_free_bytes", "Free space of the workspace, here and there.", labels=("where",))
    for where, size in sorted(now.disk_free.items()):
        free.add_metric((where,), size)
    yield free
    for name, text, value in (
        ("mqi_oldest_waiting_seconds", "Age of the line that has waited longest.", now.oldest_waiting_s),
        ("mqi_backup_age_seconds", "Age of the last good backup of the store.", now.backup_age_s),
        ("mqi_last_progress_timestamp_seconds", "When a line last went on, seconds since 1970.", now.last_progress),
    ):
        gauge = GaugeMetricFamily(name, text)
        if value is not None:
            gauge.add_metric((), value)
        yield gauge


def _up(*, answered: bool) -> Metric:
    return GaugeMetricFamily("mqi_gauges_up", "1 when the present state could be read.", value=float(answered))


def _bounded(value: str, allowed: Collection[str]) -> str:
    return value if value in allowed else OTHER


def _number(value: object) -> float | None:
    """A finite count or duration, else None: counters never go down, and a fact may be anything."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    return None
