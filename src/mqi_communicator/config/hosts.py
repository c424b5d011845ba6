"""The hosts of a configuration: one, in sections of the file itself, or several in a list."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mqi_communicator.compute.options import DirectOptions, GpuOptions
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.remote.options import LocalOptions, SshOptions


def _plain(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+/?", value) or ".." in value.split("/"):
        raise ValueError("must be an absolute path on the compute host, of letters, digits and /._- only")
    return value.rstrip("/")


RemoteFolder = Annotated[str, AfterValidator(_plain)]


class HostOptions(BaseModel):
    """One compute host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: SshOptions | None = Field(default=None, description="SSH connection to the host.")
    local: LocalOptions | None = Field(default=None, description="Instead of ssh: the host is this machine.")
    direct: DirectOptions | None = Field(default=None, description="Jobs run on the host itself (the default).")
    slurm: SlurmOptions | None = Field(
        default=None, description="Instead of direct: jobs are submitted to the host's Slurm."
    )
    gpus: GpuOptions | None = Field(default=None, description="GPUs of a host without a scheduler.")
    jobs: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Most jobs of the communicator on this host at a time; default: resources.jobs.",
    )
    remote: RemoteFolder | None = Field(
        default=None, description="The communicator's folder on this host; default: paths.remote."
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.ssh is None) == (self.local is None):
            raise ValueError("needs either ssh (a host reached over SSH) or local (this machine; local: {})")
        if self.direct is not None and self.slurm is not None:
            raise ValueError("has both direct and slurm; a host has one scheduler")
        if self.slurm is not None and self.gpus is not None:
            raise ValueError("gpus is for hosts without a scheduler; Slurm manages its GPUs itself (slurm.gres)")
        return self

    @property
    def way(self) -> SshOptions | LocalOptions:
        """The connection that is set, `ssh` or `local`."""
        return self.ssh or self.local or LocalOptions()

    @property
    def name(self) -> str:
        """Name of the host in messages and metrics."""
        return self.way.name
