"""How jobs are started and watched."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DirectOptions(BaseModel):
    """Jobs on a plain host without a scheduler."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_s: float = Field(
        default=5.0,
        ge=0.2,
        le=600,
        description="Seconds between two looks at all jobs of the host (one command, which sees an end at once).",
    )
    kill_grace_s: float = Field(
        default=10.0, ge=0.1, le=300, description="Seconds between asking a job to end and killing it."
    )
    begin_wait_s: float = Field(
        default=10.0, ge=0.5, le=120, description="Longest wait for a started job to take its gate, in seconds."
    )
    log_tail_bytes: int = Field(
        default=4096,
        ge=256,
        le=65536,
        description="How much of the beginning and of the end of a job's log a poll brings, in bytes each.",
    )
    on_slurm_host: bool = Field(
        default=False,
        description="Compute on the host itself although Slurm jobs are submitted from it. Without it such a host is "
        "refused: a login node is not for computing.",
    )


class ListedGpu(BaseModel):
    """A GPU that the configuration names because nobody can be asked for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int | str = Field(description="Its index or UUID, as CUDA_VISIBLE_DEVICES takes it.")
    memory_mib: int = Field(gt=0, description="Its memory, in MiB.")


class GpuOptions(BaseModel):
    """GPUs of a host without a scheduler. Each is leased to one job of ours at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: tuple[ListedGpu, ...] = Field(
        default=(),
        description="The GPUs, where the host has no nvidia-smi; empty: nvidia-smi is asked. Nobody then sees whether "
        "others use them.",
    )
    only: tuple[str, ...] = Field(
        default=(), description="Indices or UUIDs of the GPUs that may be used; empty: all of them."
    )
    foreign_mib: int = Field(
        default=500, ge=0, description="A GPU of which others use more memory than this is left alone, in MiB."
    )
    foreign_percent: int = Field(
        default=20,
        ge=0,
        le=100,
        description="A GPU that is busier than this without a job of ours is left alone, in %.",
    )
    hottest_celsius: int = Field(
        default=0, ge=0, le=200, description="Nothing begins on a GPU hotter than this, in degrees; 0: not looked at."
    )

    @field_validator("only", mode="before")
    @classmethod
    def _as_words(cls, value: object) -> object:
        return tuple(str(one) for one in value) if isinstance(value, list | tuple) else value
