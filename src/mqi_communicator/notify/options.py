"""Options of the notifications. They hold no secret: files and environment variables do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Topic = Literal["needs_person", "failed", "verdict_fail", "verdict_review"]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;\"]+@[^\s@<>,;\"]+$")]


class WebhookOptions(BaseModel):
    """A POST of JSON to the address of a chat or pager."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url_file: Path | None = Field(
        default=None, description="File with the URL (often a secret), readable by its owner only."
    )
    url_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Instead of url_file: the environment variable that holds the address.",
    )
    timeout_s: float = Field(default=20.0, gt=0, le=300, description="Timeout, in s.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url_file is None) == (self.url_env is None):
            raise ValueError("set either url_file or url_env")
        return self


class MailOptions(BaseModel):
    """Mail through the site's server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="Name or address of the mail server (SMTP).")
    port: int = Field(default=587, ge=1, le=65535, description="TCP port of the mail server.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="Encryption: STARTTLS, TLS from the first byte (usually port 465), or none.",
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates of the trusted authorities; without it the system's."
    )
    sender: Address = Field(description="Address in From.")
    recipients: tuple[Address, ...] = Field(min_length=1, description="Addresses in To.")
    user: str = Field(default="", description="Account on the mail server; empty if none is needed.")
    password_file: Path | None = Field(
        default=None, description="File that holds the password, readable by its owner only."
    )
    timeout_s: float = Field(default=20.0, gt=0, le=300, description="Timeout of each reply, in s.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("needs both user and password_file, or neither")
        if self.user and self.tls == "none":
            raise ValueError("a password is not sent without encryption: set tls")
        return self


class NotifyOptions(BaseModel):
    """What is sent to whom, without patient data: case keys, beams, reasons."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: tuple[Topic, ...] = Field(
        default=("needs_person", "failed", "verdict_fail"), min_length=1, description="Topics of the messages."
    )
    every_s: float = Field(
        default=900.0,
        gt=0,
        description="Shortest time between two messages on a channel, in s; what happens meanwhile is sent together.",
    )
    webhook: WebhookOptions | None = Field(default=None, description="Channel: a POST of JSON.")
    mail: MailOptions | None = Field(default=None, description="Channel: mail.")

    @model_validator(mode="after")
    def _has_channel(self) -> Self:
        if self.webhook is None and self.mail is None:
            raise ValueError("set webhook, mail, or both")
        return self
