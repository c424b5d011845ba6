"""check: verify the configuration against reality."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import typer

from mqi_communicator.checks import Finding, check_all
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import Config, load


def check(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Verify the configuration against reality: folders, host, host key, rsync, engine, free space, clock."""
    with exit_codes.report_faults(config):
        settings = load(config)
        findings = asyncio.run(_collect(settings, speak=not as_json))
        if as_json:
            print(json.dumps([asdict(finding) for finding in findings]))  # noqa: T201
        if not all(finding.ok for finding in findings):
            raise typer.Exit(exit_codes.NOT_PASSED)


async def _collect(settings: Config, *, speak: bool) -> list[Finding]:
    findings = []
    async for finding in check_all(settings):
        findings.append(finding)
        if speak:
            print_finding(finding)
    return findings


def print_finding(finding: Finding) -> None:
    """Print the result of one check at once, and what to do if it failed."""
    print(f"{'ok ' if finding.ok else 'NO '} {finding.what}", flush=True)  # noqa: T201
    if not finding.ok and finding.advice:
        print(f"    -> {finding.advice}", flush=True)  # noqa: T201
