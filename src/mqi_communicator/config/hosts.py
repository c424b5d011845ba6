"""The hosts of a configuration: one, said in the sections of the file itself, or several in a list."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mqi_communicator.compute.options import DirectOptions, GpuOptions
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.remote.options import LocalOptions, SshOptions


class HostOptions(BaseModel):
    """One host that computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: SshOptions | None = Field(default=None, description="How the host is reached.")
    local: LocalOptions | None = Field(default=None, description="Instead of ssh: it is this machine.")
    direct: DirectOptions | None = Field(default=None, description="Jobs are started on the host itself (the default).")
    slurm: SlurmOptions | None = Field(default=None, description="Instead of direct: jobs go to the host's Slurm.")
    gpus: GpuOptions | None = Field(default=None, description="Its GPUs, where no scheduler looks after them.")
    jobs: int | None = Field(
        default=None, ge=1, le=1000, description="Jobs of ours it may hold at once; without it resources.jobs."
    )
    remote: str | None = Field(default=None, description="Our folder on it; without it paths.remote.")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.ssh is None) == (self.local is None):
            raise ValueError("needs one of the two: ssh (a host reached over SSH) or local (this machine; local: {})")
        if self.direct is not None and self.slurm is not None:
            raise ValueError("has one scheduler: direct or slurm, not both")
        if self.slurm is not None and self.gpus is not None:
            raise ValueError("gpus is for hosts without a scheduler; Slurm looks after its GPUs itself (slurm.gres)")
        return self

    @property
    def way(self) -> SshOptions | LocalOptions:
        """The one of `ssh` and `local` that is set."""
        return self.ssh or self.local or LocalOptions()

    @property
    def name(self) -> str:
        """What it is called in messages and metrics."""
        return self.way.name
