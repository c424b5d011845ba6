"""How a host is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_UNQUOTABLE = ('"', "\\", "\n", "${")


def _quotable(path: Path) -> Path:
    if found := [mark for mark in _UNQUOTABLE if mark in str(path)]:
        raise ValueError(f"ssh cannot be handed a path with {found[0]!r} in it; move or rename the file")
    return path.expanduser()


SshPath = Annotated[Path, AfterValidator(_quotable)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")]


class SshOptions(BaseModel):
    """One host over OpenSSH. What is left out here is taken from the account's ssh configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
        description="Name of the host in messages and metrics.",
    )
    host: HostName = Field(
        description="Host name, address, or Host alias of the ssh configuration (jump hosts are set up there).",
    )
    fallback: tuple[HostName, ...] = Field(
        default=(),
        description="Further login nodes of the same machine or cluster, tried in this order when `host` does not "
        "answer.",
    )
    transfer_host: HostName | None = Field(
        default=None,
        description="Host that transfers go through, where the site wants none on its login nodes; it must see the "
        "same files.",
    )
    script: Literal["sent", "installed"] = Field(
        default="sent",
        description="Whether the script that answers there is sent with each question, or is installed by the host's "
        "administrator as the only thing our key may start (`mqi host-script`).",
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="TCP port; without it the ssh configuration's, else 22."
    )
    user: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.@-]*\$?$",
        description="Account on the host; without it the ssh configuration's, else the local user's name.",
    )
    identity_file: SshPath | None = Field(
        default=None,
        description="Private key, readable by its owner only; without it the ssh configuration's keys and agent.",
    )
    known_hosts_file: SshPath | None = Field(
        default=None,
        description="The only file whose host keys are believed; without it the account's known_hosts.",
    )
    config_file: SshPath | None = Field(
        default=None, description="ssh configuration file; without it the account's own (~/.ssh/config)."
    )
    connect_timeout_s: int = Field(default=10, ge=1, le=300, description="Longest wait for a connection, in seconds.")
    alive_interval_s: int = Field(
        default=5, ge=1, le=300, description="Seconds of silence after which the host is asked whether it is alive."
    )
    alive_count: int = Field(default=3, ge=1, le=20, description="Unanswered questions that end a connection.")
    stall_s: int = Field(
        default=60, ge=5, le=3600, description="Seconds without a byte after which rsync gives a transfer up."
    )
    bandwidth_kib_s: int = Field(
        default=0, ge=0, description="Upper limit of a transfer, in KiB per second; 0 is none."
    )


class LocalOptions(BaseModel):
    """The communicator runs on the computing machine itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="local",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
        description="Name of the host in messages and metrics.",
    )
    stall_s: int = Field(
        default=60, ge=5, le=3600, description="Seconds without a byte after which rsync gives a copy up."
    )
