"""Gauges: the current values, and the metric families made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from mqi_communicator.telemetry import catalogue as names

BREAKER_STATES = ("closed", "half_open", "open")
Cells = Mapping[tuple[str, ...], float]  # label values -> value


@dataclass(frozen=True, slots=True)
class Reading:
    """The current values of the gauges. None or an empty mapping: unknown, and not exposed."""

    items: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (step, status) -> work items
    action_required: Mapping[str, int] = field(default_factory=dict)  # step -> work items
    queue_age_s: Mapping[str, float] = field(default_factory=dict)  # step -> s
    case_age_s: Mapping[str, float] = field(default_factory=dict)  # priority -> s
    oldest_waiting_s: float | None = None  # s
    last_progress: float | None = None  # epoch seconds
    healthy: bool | None = None
    watched: bool | None = None
    results: bool | None = None  # the results folder has its marker
    dashboard: bool | None = None
    breakers: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (host, kind of work) -> closed, ...
    jobs: Mapping[str, int] = field(default_factory=dict)  # host -> jobs that hold a slot of it
    job_slots: Mapping[str, int] = field(default_factory=dict)
    jobs_waiting: Mapping[str, int] = field(default_factory=dict)
    gpus: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (host, ours | free | unavailable) -> GPUs
    gpus_known: Mapping[str, bool] = field(default_factory=dict)  # host -> whether its driver reports them
    gpu_load: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (host, index) -> 0..1
    gpu_memory: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (host, index) -> bytes
    in_use: Mapping[str, int] = field(default_factory=dict)  # by kind of step: admissions, comparisons ...
    limits: Mapping[str, int] = field(default_factory=dict)
    disk_free: Mapping[str, float] = field(default_factory=dict)  # "local", "results" -> bytes
    disk_reserve: Mapping[str, float] = field(default_factory=dict)
    host_free: Mapping[str, float] = field(default_factory=dict)  # host -> bytes
    host_reserve: Mapping[str, float] = field(default_factory=dict)
    clock_offset_s: Mapping[str, float] = field(default_factory=dict)  # host -> its clock minus ours
    certificate_ends: Mapping[str, float] = field(default_factory=dict)  # host -> epoch seconds
    backup_age_s: float | None = None  # s
    version: str = ""


def families(now: Reading) -> Iterator[Metric]:
    """Every gauge of the catalogue, with its known values."""
    cells = _cells(now)
    for spec in names.READ:
        family = GaugeMetricFamily(spec.name, spec.text, labels=spec.labels)
        for labels, value in sorted(cells[spec].items()):
            family.add_metric(labels, value)
        yield family


def up(*, answered: bool) -> Metric:
    """Whether the other gauges could be read."""
    return GaugeMetricFamily(names.GAUGES_UP.name, names.GAUGES_UP.text, value=float(answered))


def _cells(now: Reading) -> Mapping[names.Spec, Cells]:
    states: dict[tuple[str, ...], float] = {
        (host, work, state): float(state == current)
        for (host, work), current in now.breakers.items()
        for state in BREAKER_STATES
    }
    return {
        names.WORK_ITEMS: _wide(now.items),
        names.ACTION_REQUIRED: _by(now.action_required),
        names.QUEUE_AGE: _by(now.queue_age_s),
        names.CASE_AGE: _by(now.case_age_s),
        names.WAITING: _one(now.oldest_waiting_s),
        names.PROGRESS: _one(now.last_progress),
        names.HEALTHY: _one(now.healthy),
        names.WATCHED: _one(now.watched),
        names.RESULTS: _one(now.results),
        names.DASHBOARD: _one(now.dashboard),
        names.BREAKERS: states,
        names.JOBS: _by(now.jobs),
        names.JOB_SLOTS: _by(now.job_slots),
        names.JOBS_WAITING: _by(now.jobs_waiting),
        names.GPUS: _wide(now.gpus),
        names.GPUS_KNOWN: _by(now.gpus_known),
        names.GPU_LOAD: _wide(now.gpu_load),
        names.GPU_MEMORY: _wide(now.gpu_memory),
        names.IN_USE: _by(now.in_use),
        names.LIMIT: _by(now.limits),
        names.DISK_FREE: _by(now.disk_free),
        names.DISK_RESERVE: _by(now.disk_reserve),
        names.HOST_FREE: _by(now.host_free),
        names.HOST_RESERVE: _by(now.host_reserve),
        names.CLOCK: _by(now.clock_offset_s),
        names.CERTIFICATE: _by(now.certificate_ends),
        names.BACKUP_AGE: _one(now.backup_age_s),
        names.BUILD: {(now.version,): 1.0} if now.version else {},
    }


def _wide(values: Mapping[tuple[str, str], float]) -> Cells:
    return {labels: float(value) for labels, value in values.items()}


def _by(values: Mapping[str, float]) -> Cells:
    return {(label,): float(value) for label, value in values.items()}


def _one(value: float | None) -> Cells:
    return {} if value is None else {(): float(value)}
