"""What a site may set about logs, metrics and health."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MonitoringOptions(BaseModel):
    """What the outside may see: log lines on stdout, and a small HTTP page for Prometheus and health checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address on which /metrics, /healthz and /readyz answer; they ask for no password.",
    )
    metrics_port: int = Field(
        default=8000, ge=0, le=65535, description="TCP port of these pages; 0 takes any free one and logs it."
    )
    stalled_after_s: float = Field(
        default=900.0,
        gt=0,
        description="Without any progress for this long while work is due, /healthz says 503, in s.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log lines that are written."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="One JSON object per line, or lines for the eye."
    )
