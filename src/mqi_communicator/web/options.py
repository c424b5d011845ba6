"""Settings of the dashboard."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Role = Literal["viewer", "operator", "physicist"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "physicist")  # each includes the rights of those before it


class ProxyOptions(BaseModel):
    """A reverse proxy that authenticates users. It is trusted because only it can open the socket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    socket: Path = Field(
        description="Unix socket for the proxy. The permissions of its folder decide who may connect: give it to the "
        "proxy's group."
    )
    user_header: str = Field(default="X-Remote-User", description="Header in which the proxy sends the user name.")
    unknown_role: Role | None = Field(
        default=None, description="Role of users who are not in the users file; unset: they are refused."
    )

    @field_validator("user_header")
    @classmethod
    def _plain(cls, value: str) -> str:
        return _header(value)


class WebOptions(BaseModel):
    """The dashboard. It is off without this section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; one other than loopback requires certificate and key.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0: any free port, which is logged.")
    names: tuple[str, ...] = Field(
        default=(),
        description="Host names of the dashboard (qa.example.org); requests for any other name are refused.",
    )
    certificate: Path | None = Field(default=None, description="TLS certificate with its chain, a PEM file.")
    key: Path | None = Field(default=None, description="Private key of the certificate, a PEM file.")
    users: Path | None = Field(
        default=None, description="Users file, maintained by mqi user; default: users.json in paths.workspace."
    )
    session_hours: float = Field(
        default=10.0, gt=0, le=168, description="Lifetime of a session, in hours; after it the user signs in again."
    )
    client_header: str | None = Field(
        default=None,
        description="Header to which a reverse proxy on this machine appends the address of the browser "
        "(X-Forwarded-For). Trusted on connections from this machine only, for counting wrong passwords.",
    )
    proxy: ProxyOptions | None = Field(default=None, description="A reverse proxy that authenticates users.")

    @field_validator("client_header")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        return None if value is None else _header(value)

    @field_validator("names")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z0-9.-]+", name):
                raise ValueError(f'"{name}" must be a host name without port: letters, digits, . and -')
        return tuple(name.lower() for name in value)

    @model_validator(mode="after")
    def _passwords_need_tls(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("needs both certificate and key, or neither")
        if self.certificate is None and not is_loopback(self.host):
            raise ValueError(
                f"would send passwords unencrypted from {self.host}: set certificate and key, or use 127.0.0.1 with a "
                "reverse proxy"
            )
        return self

    @property
    def tls(self) -> bool:
        """Whether it serves TLS itself."""
        return self.certificate is not None


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
        raise ValueError("must be a header name: letters, digits and -")
    return value


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
