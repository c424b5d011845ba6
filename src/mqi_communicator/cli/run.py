"""run, once: the communicator itself."""

from __future__ import annotations

import asyncio
import json
import time

import typer

from mqi_communicator.app import build
from mqi_communicator.case.model import CaseKind
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import open_store
from mqi_communicator.cli.dashboard import watched_web
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.flow.view import view_all
from mqi_communicator.run import run as work


def run(config: ConfigFile = DEFAULT) -> None:
    """Watch the folder and process every case to its verdict, until stopped."""
    with exit_codes.report_faults(config):
        settings = load(config)
        asyncio.run(work(build(settings, dashboard=watched_web(config) if settings.web else ())))


def once(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Process the cases in the folder, then exit: 0 all passed, 1 not all, 3 host unreachable."""
    with exit_codes.report_faults(config):
        settings = load(config)
        end = asyncio.run(work(build(settings), once=True))
        found = open_store(settings).read_now(view_all, time.time())
        if as_json:
            print(json.dumps({"end": end, "cases": [case.to_dict() for case in found]}))  # noqa: T201
        if end == "unreachable":
            raise typer.Exit(exit_codes.UNREACHABLE)
        counted = [case for case in found if not (case.same_as or case.superseded_by or case.constancy)]
        counted = [case for case in counted if case.kind != CaseKind.DELIVERY or case.status != "done"]
        if end == "stopped" or any(case.verdict != "pass" for case in counted):
            raise typer.Exit(exit_codes.NOT_PASSED)
