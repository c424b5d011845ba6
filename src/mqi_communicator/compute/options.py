"""Options for starting and polling jobs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DirectOptions(BaseModel):
    """Jobs on a plain host without a scheduler."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_s: float = Field(
        default=5.0,
        ge=0.2,
        le=600,
        description="Seconds between two polls of all jobs of the host (one command, which reports an end at once).",
    )
    kill_grace_s: float = Field(
        default=10.0, ge=0.1, le=300, description="Seconds between TERM and KILL when a job is ended."
    )
    begin_wait_s: float = Field(
        default=10.0, ge=0.5, le=120, description="Timeout for a started job to take its gate, in seconds."
    )
    log_tail_bytes: int = Field(
        default=4096,
        ge=256,
        le=65536,
        description="How much of the beginning and of the end of a job's log a poll returns, in bytes each.",
    )
    on_slurm_host: bool = Field(
        default=False,
        description="Run jobs on the host itself although Slurm jobs are submitted from it. By default such a host is "
        "refused: login nodes are not for computing.",
    )


class ListedGpu(BaseModel):
    """A GPU of a host without nvidia-smi."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int | str = Field(description="Its index or UUID, as in CUDA_VISIBLE_DEVICES.")
    memory_mib: int = Field(gt=0, description="Its memory, in MiB.")


class GpuOptions(BaseModel):
    """GPUs of a host without a scheduler. Each is leased to one of our jobs at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: tuple[ListedGpu, ...] = Field(
        default=(),
        description="The GPUs of a host without nvidia-smi, on which use by others cannot be detected; empty: query "
        "nvidia-smi.",
    )
    only: tuple[str, ...] = Field(default=(), description="Indices or UUIDs of the GPUs that may be used; empty: all.")
    foreign_mib: int = Field(
        default=500, ge=0, description="A GPU is not used while others use more than this much of its memory, in MiB."
    )
    foreign_percent: int = Field(
        default=20,
        ge=0,
        le=100,
        description="A GPU is not used while it is busier than this without one of our jobs, in %.",
    )
    hottest_celsius: int = Field(
        default=0,
        ge=0,
        le=200,
        description="No job starts on a GPU hotter than this, in degrees Celsius; 0: not checked.",
    )

    @field_validator("only", mode="before")
    @classmethod
    def _as_words(cls, value: object) -> object:
        return tuple(str(one) for one in value) if isinstance(value, list | tuple) else value
