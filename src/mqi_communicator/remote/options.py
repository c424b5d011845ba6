"""Settings of the connection to a host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_UNQUOTABLE = ('"', "\\", "\n", "${")


def _quotable(path: Path) -> Path:
    if found := [mark for mark in _UNQUOTABLE if mark in str(path)]:
        raise ValueError(f"ssh does not accept a path that contains {found[0]!r}; move or rename the file")
    return path.expanduser()


SshPath = Annotated[Path, AfterValidator(_quotable)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")]


class SshOptions(BaseModel):
    """One host over OpenSSH. Omitted values come from the account's ssh configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
        description="Name of the host in messages and metrics.",
    )
    host: HostName = Field(
        description="Host name, address, or Host alias of the ssh configuration (which also defines jump hosts).",
    )
    fallback: tuple[HostName, ...] = Field(
        default=(),
        description="Further login nodes of the same machine or cluster, tried in this order while `host` does not "
        "answer.",
    )
    transfer_host: HostName | None = Field(
        default=None,
        description="Host for transfers, where the site does not allow them on login nodes; it must have the same "
        "file systems.",
    )
    script: Literal["sent", "installed"] = Field(
        default="sent",
        description="Whether the script is sent with each request, or was installed by the host's administrator as the "
        "only command that our key may run (`mqi host-script`).",
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="TCP port; if omitted, that of the ssh configuration, else 22."
    )
    user: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.@-]*\$?$",
        description="Account on the host; if omitted, that of the ssh configuration, else the local user's name.",
    )
    identity_file: SshPath | None = Field(
        default=None,
        description="Private key, readable only by its owner; if omitted, keys and agent of the ssh configuration.",
    )
    known_hosts_file: SshPath | None = Field(
        default=None,
        description="The only file of trusted host keys; if omitted, the account's known_hosts.",
    )
    config_file: SshPath | None = Field(
        default=None, description="ssh configuration file; if omitted, the account's own (~/.ssh/config)."
    )
    connect_timeout_s: int = Field(default=10, ge=1, le=300, description="Connection timeout, in seconds.")
    alive_interval_s: int = Field(
        default=5, ge=1, le=300, description="Seconds of silence after which a keep-alive message is sent."
    )
    alive_count: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Number of unanswered keep-alive messages after which a connection is closed.",
    )
    stall_s: int = Field(
        default=60, ge=5, le=3600, description="Seconds without a byte after which rsync aborts a transfer."
    )
    bandwidth_kib_s: int = Field(
        default=0, ge=0, description="Bandwidth limit of a transfer, in KiB per second; 0: no limit."
    )


class LocalOptions(BaseModel):
    """The host is the machine on which the communicator runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="local",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
        description="Name of the host in messages and metrics.",
    )
    stall_s: int = Field(
        default=60, ge=5, le=3600, description="Seconds without a byte after which rsync aborts a copy."
    )
