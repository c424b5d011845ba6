"""Settings of logs, metrics and health checks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MonitoringOptions(BaseModel):
    """Log lines on stdout, and HTTP endpoints for Prometheus and health checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of /metrics, /healthz and /readyz, which need no password.",
    )
    metrics_port: int = Field(
        default=8000, ge=0, le=65535, description="TCP port of these endpoints; 0: any free port, which is logged."
    )
    stalled_after_s: float = Field(
        default=900.0,
        gt=0,
        description="/healthz returns 503 if due work makes no progress for this time, in s.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum severity of log lines."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="JSON, one object per line, or readable lines for a console."
    )
