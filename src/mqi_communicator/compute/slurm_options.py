"""Options for submitting jobs to Slurm."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_PATTERN = r"^[A-Za-z0-9_.,:=@%+/\[\]-]+$"
OptionValue = Annotated[str, Field(pattern=_PATTERN, max_length=200)]


class SlurmOptions(BaseModel):
    """Jobs through Slurm. Omitted values are left to the cluster's defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: OptionValue | None = Field(default=None, description="Partition of the jobs (--partition).")
    account: OptionValue | None = Field(default=None, description="Account to which the jobs are charged (--account).")
    qos: OptionValue | None = Field(default=None, description="Quality of service (--qos).")
    gres: OptionValue | None = Field(
        default="gpu:1",
        description="GPUs of one job (--gres); null for an engine that needs none. An engine that can use several "
        "GPUs per beam gets all of them.",
    )
    time_s: int | None = Field(
        default=None,
        ge=60,
        description="Time limit of a job (--time), in s; if omitted, the engine's own limit plus ten minutes.",
    )
    memory_mib: int | None = Field(default=None, ge=1, description="Memory of a job (--mem), in MiB.")
    cpus: int | None = Field(default=None, ge=1, description="CPUs of a job (--cpus-per-task).")
    nice: int | None = Field(
        default=None, ge=0, le=2_147_483_645, description="Priority adjustment of our jobs (--nice)."
    )
    options: tuple[OptionValue, ...] = Field(
        default=(), description="Further options of sbatch, one per list item, such as --constraint=a100."
    )
    query_s: float = Field(
        default=30.0,
        ge=0.2,
        le=3600,
        description="Seconds between two queries of the scheduler, however many jobs there are. Ends are detected "
        "sooner, on the shared file system.",
    )
    look_s: float = Field(
        default=2.0, ge=0.1, le=60, description="Seconds between two checks for ended jobs on the shared file system."
    )
    files_late_s: float = Field(
        default=120.0,
        ge=0,
        le=3600,
        description="How long after a job's end its files may still be missing on a network file system, in s.",
    )
    kill_grace_s: float = Field(
        default=30.0, ge=1, le=300, description="Seconds between TERM and KILL when a job's programs are ended."
    )
    log_tail_bytes: int = Field(
        default=4096,
        ge=256,
        le=65536,
        description="How much of the beginning and of the end of a job's log a poll returns, in bytes each.",
    )
