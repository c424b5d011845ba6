"""Every metric of the communicator: name, kind, labels, what it says. docs/metrics.md is made from this list:

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
    """One metric as it stands on the page; a histogram's name without `_bucket`, `_sum`, `_count`."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


STEPS = Spec("mqi_steps_total", "counter", "Tries of steps, by what came of them.", ("step", "outcome"))
RETRIES = Spec("mqi_retries_total", "counter", "Tries that failed and are repeated.", ("step",))
STEP_TIME = Spec("mqi_step_duration_seconds", "histogram", "Time one try of a step took.", ("step",))
VERDICTS = Spec("mqi_verdicts_total", "counter", "Verdicts reached, by word.", ("word",))
CALLS = Spec(
    "mqi_remote_operations_total", "counter", "Calls to the host, by what came of them.", ("operation", "outcome")
)
CALL_TIME = Spec(
    "mqi_remote_operation_duration_seconds",
    "histogram",
    "Time of one call to a host. A poll stays there for the length of a tick on purpose.",
    ("operation",),
)
BYTES = Spec("mqi_transferred_bytes_total", "counter", "Bytes sent to the host or fetched from it.", ("direction",))
HISTORIES = Spec("mqi_histories_total", "counter", "Particle histories of jobs that ended well.")
COMPUTE_TIME = Spec("mqi_compute_seconds_total", "counter", "Time these jobs took, by the clock of their host.")
COUNTED = (STEPS, RETRIES, STEP_TIME, VERDICTS, CALLS, CALL_TIME, BYTES, HISTORIES, COMPUTE_TIME)

LINES = Spec("mqi_lines", "gauge", "Lines of cases and beams, by step and status.", ("step", "status"))
NEED_PERSON = Spec("mqi_lines_need_person", "gauge", "Lines that wait for something somebody must do.", ("step",))
QUEUE_AGE = Spec(
    "mqi_queue_age_seconds", "gauge", "How long the line that came first stands at a step; held ones apart.", ("step",)
)
CASE_AGE = Spec(
    "mqi_oldest_case_age_seconds",
    "gauge",
    "Time since the oldest unfinished case appeared; held ones apart.",
    ("priority",),
)
WAITING = Spec("mqi_oldest_waiting_seconds", "gauge", "Age of the line that has waited longest.")
PROGRESS = Spec("mqi_last_progress_timestamp_seconds", "gauge", "When a line last went on, seconds since 1970.")
HEALTHY = Spec("mqi_healthy", "gauge", "1 when /healthz says that work which is due goes on.")
WATCHED = Spec("mqi_watched_folder_up", "gauge", "1 when the last look at the watched folder is believed.")
BREAKERS = Spec("mqi_breaker_state", "gauge", "1 for the state the breaker is in.", ("host", "work", "state"))
JOBS = Spec("mqi_jobs", "gauge", "Jobs that hold a slot of the host.", ("host",))
JOB_SLOTS = Spec("mqi_job_slots", "gauge", "Slots of the host.", ("host",))
JOBS_WAITING = Spec("mqi_jobs_waiting", "gauge", "Beams that want a slot of the host and have none.", ("host",))
GPUS = Spec(
    "mqi_gpus",
    "gauge",
    "GPUs of the host, by use: ours, free, unavailable (used by others, too hot, not listed).",
    ("host", "use"),
)
GPUS_KNOWN = Spec("mqi_gpus_known", "gauge", "1 when the host's driver tells of its GPUs.", ("host",))
GPU_LOAD = Spec("mqi_gpu_utilization_ratio", "gauge", "How busy a GPU is, by its driver, 0 to 1.", ("host", "gpu"))
GPU_MEMORY = Spec("mqi_gpu_memory_used_bytes", "gauge", "Memory in use on a GPU, ours or not.", ("host", "gpu"))
IN_USE = Spec("mqi_resource_in_use", "gauge", "Places taken of a limit of ours.", ("resource",))
LIMIT = Spec(
    "mqi_resource_limit",
    "gauge",
    "That limit: resources.admissions, resources.workers, resources.transfers.",
    ("resource",),
)
DISK_FREE = Spec(
    "mqi_disk_free_bytes", "gauge", "Free space here: local is the workspace, results the results.", ("where",)
)
DISK_RESERVE = Spec(
    "mqi_disk_reserve_bytes", "gauge", "What must stay free there, or work waits: resources.local_free_gib.", ("where",)
)
HOST_FREE = Spec("mqi_host_disk_free_bytes", "gauge", "Free space for us on the host, by disk or quota.", ("host",))
HOST_RESERVE = Spec(
    "mqi_host_disk_reserve_bytes", "gauge", "What must stay free there: resources.remote_free_gib.", ("host",)
)
CLOCK = Spec("mqi_clock_offset_seconds", "gauge", "The host's clock less ours.", ("host",))
CERTIFICATE = Spec(
    "mqi_ssh_certificate_expires_timestamp_seconds",
    "gauge",
    "When the SSH certificate for the host ends, seconds since 1970; absent where there is none.",
    ("host",),
)
BACKUP_AGE = Spec("mqi_backup_age_seconds", "gauge", "Age of the last good backup of the store.")
BUILD = Spec("mqi_build_info", "gauge", "1; the label says which version runs.", ("version",))
READ = (
    *(LINES, NEED_PERSON, QUEUE_AGE, CASE_AGE, WAITING, PROGRESS, HEALTHY, WATCHED, BREAKERS),
    *(JOBS, JOB_SLOTS, JOBS_WAITING, GPUS, GPUS_KNOWN, GPU_LOAD, GPU_MEMORY, IN_USE, LIMIT),
    *(DISK_FREE, DISK_RESERVE, HOST_FREE, HOST_RESERVE, CLOCK, CERTIFICATE, BACKUP_AGE, BUILD),
)
GAUGES_UP = Spec("mqi_gauges_up", "gauge", "1 when the present state could be read.")
ALL = (*COUNTED, *READ, GAUGES_UP)

_HEAD = """\
# Metrics

What `/metrics` says (`monitoring.metrics_host`, `monitoring.metrics_port`), made from the program's own list by
`python -m mqi_communicator.telemetry.catalogue`. Counters begin at 0 with each start. A gauge is read when somebody
asks; what is not known is not shown. Units are seconds, bytes and ratios. Labels name steps, outcomes, verdict words
and the hosts and GPUs of the configuration; no label names a case or a patient. Beside these stand the usual
`process_*` of the process itself (CPU, memory, open files, start).

"""


def page() -> str:
    """docs/metrics.md."""
    rows = ((f"`{spec.name}`", spec.kind, ", ".join(f"`{label}`" for label in spec.labels), spec.text) for spec in ALL)
    return _HEAD + markdown_table(("name", "kind", "labels", "meaning"), rows)


if __name__ == "__main__":
    sys.stdout.write(page())
