"""Every metric of the communicator: name, kind, labels, meaning. docs/metrics.md is generated from this list:

python -m mqi_communicator.telemetry.catalogue > docs/metrics.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from mqi_communicator.case.views import markdown_table

Kind = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric as it is exposed; a histogram's name without `_bucket`, `_sum`, `_count`."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


STEPS = Spec("mqi_steps_total", "counter", "Attempts of steps, by outcome.", ("step", "outcome"))
RETRIES = Spec("mqi_retries_total", "counter", "Attempts that failed and are repeated.", ("step",))
STEP_TIME = Spec("mqi_step_duration_seconds", "histogram", "Duration of one attempt of a step.", ("step",))
VERDICTS = Spec("mqi_verdicts_total", "counter", "Verdicts reached.", ("verdict",))
CALLS = Spec("mqi_remote_operations_total", "counter", "Calls to hosts, by outcome.", ("operation", "outcome"))
CALL_TIME = Spec(
    "mqi_remote_operation_duration_seconds",
    "histogram",
    "Duration of one call to a host. A poll deliberately lasts as long as its interval.",
    ("operation",),
)
BYTES = Spec("mqi_transferred_bytes_total", "counter", "Bytes sent to hosts or fetched from them.", ("direction",))
HISTORIES = Spec("mqi_histories_total", "counter", "Particle histories of successful jobs.")
COMPUTE_TIME = Spec("mqi_compute_seconds_total", "counter", "Duration of these jobs, by the clock of their host.")
COUNTED = (STEPS, RETRIES, STEP_TIME, VERDICTS, CALLS, CALL_TIME, BYTES, HISTORIES, COMPUTE_TIME)

WORK_ITEMS = Spec("mqi_work_items", "gauge", "Unfinished cases and beams, by step and status.", ("step", "status"))
ACTION_REQUIRED = Spec(
    "mqi_work_items_action_required", "gauge", "Cases and beams that wait for an operator.", ("step",)
)
QUEUE_AGE = Spec(
    "mqi_queue_age_seconds", "gauge", "Age of the oldest work item at a step, held ones excluded.", ("step",)
)
CASE_AGE = Spec(
    "mqi_oldest_case_age_seconds",
    "gauge",
    "Time since the oldest unfinished case was received, held ones excluded.",
    ("priority",),
)
WAITING = Spec("mqi_oldest_waiting_seconds", "gauge", "Age of the work item that has been at its step longest.")
PROGRESS = Spec(
    "mqi_last_progress_timestamp_seconds", "gauge", "When a case or beam last advanced, seconds since 1970."
)
HEALTHY = Spec("mqi_healthy", "gauge", "1 when /healthz reports that due work makes progress.")
WATCHED = Spec("mqi_watched_folder_up", "gauge", "1 when the last scan of the watched folder is trusted.")
RESULTS = Spec("mqi_results_folder_up", "gauge", "1 when the results folder has the marker that it is recognised by.")
DASHBOARD = Spec(
    "mqi_dashboard_up", "gauge", "1 when the dashboard's process runs and responds; absent without a section `web`."
)
BREAKERS = Spec(
    "mqi_breaker_state", "gauge", "1 for the current state of the circuit breaker.", ("host", "work", "state")
)
JOBS = Spec("mqi_jobs", "gauge", "Jobs that hold a job slot of the host.", ("host",))
JOB_SLOTS = Spec("mqi_job_slots", "gauge", "Job slots of the host.", ("host",))
JOBS_WAITING = Spec("mqi_jobs_waiting", "gauge", "Beams that wait for a job slot of the host.", ("host",))
GPUS = Spec(
    "mqi_gpus",
    "gauge",
    "GPUs of the host, by use: ours, free, unavailable (used by others, too hot, not listed).",
    ("host", "use"),
)
GPUS_KNOWN = Spec("mqi_gpus_known", "gauge", "1 when the host's driver reports its GPUs.", ("host",))
GPU_LOAD = Spec(
    "mqi_gpu_utilization_ratio", "gauge", "Utilization of a GPU as its driver reports it, 0 to 1.", ("host", "gpu")
)
GPU_MEMORY = Spec("mqi_gpu_memory_used_bytes", "gauge", "Memory in use on a GPU, by any process.", ("host", "gpu"))
IN_USE = Spec("mqi_resource_in_use", "gauge", "Slots in use, by kind of step.", ("resource",))
LIMIT = Spec(
    "mqi_resource_limit",
    "gauge",
    "Slots of each kind: resources.admissions; resources.workers (preparations, comparisons, reports);"
    " resources.transfers.",
    ("resource",),
)
DISK_FREE = Spec(
    "mqi_disk_free_bytes", "gauge", "Free local space: `local` is the workspace, `results` the results.", ("where",)
)
DISK_RESERVE = Spec(
    "mqi_disk_reserve_bytes",
    "gauge",
    "Space that must stay free there, or work waits: resources.local_free_gib.",
    ("where",),
)
HOST_FREE = Spec("mqi_host_disk_free_bytes", "gauge", "Free space on the host, by disk or quota.", ("host",))
HOST_RESERVE = Spec(
    "mqi_host_disk_reserve_bytes", "gauge", "Space that must stay free there: resources.remote_free_gib.", ("host",)
)
CLOCK = Spec("mqi_clock_offset_seconds", "gauge", "The host's clock minus the local clock.", ("host",))
CERTIFICATE = Spec(
    "mqi_ssh_certificate_expires_timestamp_seconds",
    "gauge",
    "When the SSH certificate for the host expires, seconds since 1970; absent without certificate.",
    ("host",),
)
BACKUP_AGE = Spec("mqi_backup_age_seconds", "gauge", "Age of the last good backup of the store.")
BUILD = Spec("mqi_build_info", "gauge", "1; the label is the running version.", ("version",))
READ = (
    *(WORK_ITEMS, ACTION_REQUIRED, QUEUE_AGE, CASE_AGE, WAITING, PROGRESS, HEALTHY, WATCHED, RESULTS),
    *(DASHBOARD, BREAKERS, JOBS, JOB_SLOTS, JOBS_WAITING, GPUS, GPUS_KNOWN, GPU_LOAD, GPU_MEMORY, IN_USE, LIMIT),
    *(DISK_FREE, DISK_RESERVE, HOST_FREE, HOST_RESERVE, CLOCK, CERTIFICATE, BACKUP_AGE, BUILD),
)
GAUGES_UP = Spec("mqi_gauges_up", "gauge", "1 when the gauges could be read from the store.")
ALL = (*COUNTED, *READ, GAUGES_UP)

_HEAD = """\
# Metrics

Look up here what each series of `/metrics` means (`monitoring.metrics_host`, `monitoring.metrics_port`). Generated by
`python -m mqi_communicator.telemetry.catalogue`. Counters start at 0 with each start of the process. Gauges are read at
scrape time; unknown values are absent. Units are seconds, bytes and ratios. Labels name steps, outcomes, verdicts and
the hosts and GPUs of the configuration; no label names a case or a patient. The usual `process_*` metrics (CPU, memory,
open files, start time) are included; those of the dashboard's process are `dashboard_process_*`.

"""


def page() -> str:
    """docs/metrics.md."""
    rows = ((f"`{spec.name}`", spec.kind, ", ".join(f"`{label}`" for label in spec.labels), spec.text) for spec in ALL)
    return _HEAD + markdown_table(("name", "kind", "labels", "meaning"), rows)


if __name__ == "__main__":
    sys.stdout.write(page())
