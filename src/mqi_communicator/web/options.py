"""What a site may set about the dashboard."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Role = Literal["viewer", "operator", "physicist"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "physicist")  # each may do what those before it may


class ProxyOptions(BaseModel):
    """A reverse proxy that signs people in by itself. It is believed because nobody else can open the socket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    socket: Path = Field(
        description="Unix socket made for the proxy. Its folder decides who may connect: give it to the proxy's group."
    )
    user_header: str = Field(default="X-Remote-User", description="Header in which the proxy names who is signed in.")
    unknown_role: Role | None = Field(
        default=None, description="Role of who is not in the users file; without it such people are refused."
    )

    @field_validator("user_header")
    @classmethod
    def _plain(cls, value: str) -> str:
        return _header(value)


class WebOptions(BaseModel):
    """The dashboard. Without this section there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        default="127.0.0.1",
        description="Address it listens on; any other than this machine's own loopback needs certificate and key.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes any free one and logs it.")
    names: tuple[str, ...] = Field(
        default=(),
        description="Names under which browsers reach it (qa.example.org); requests for any other name are refused.",
    )
    certificate: Path | None = Field(default=None, description="TLS certificate with its chain, a PEM file.")
    key: Path | None = Field(default=None, description="Private key of the certificate, a PEM file.")
    users: Path | None = Field(
        default=None, description="Users file, kept by mqi user; without it users.json in paths.workspace."
    )
    session_hours: float = Field(
        default=10.0, gt=0, le=168, description="After so long a person signs in again, in hours."
    )
    client_header: str | None = Field(
        default=None,
        description="Header to whose end a reverse proxy on this machine adds the address of the browser "
        "(X-Forwarded-For). Believed on connections from this machine alone, for counting wrong passwords.",
    )
    proxy: ProxyOptions | None = Field(default=None, description="A reverse proxy in front, which signs people in.")

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
    def _guarded(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("needs both certificate and key, or neither")
        if self.certificate is None and not is_loopback(self.host):
            raise ValueError(
                f"would send passwords in the clear from {self.host}: give certificate and key, or stay on 127.0.0.1 "
                "with a reverse proxy in front"
            )
        return self

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS itself."""
        return self.certificate is not None


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
        raise ValueError("must be the name of a header: letters, digits and -")
    return value


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
