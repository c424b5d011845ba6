"""Helpers of the commands about cases: open the store of a configuration, and find a case by name."""

from __future__ import annotations

import time

import typer

from mqi_communicator.case.views import DEFAULT_POLICY, ViewPolicy
from mqi_communicator.cli import exit_codes
from mqi_communicator.config import Config
from mqi_communicator.flow.view import CaseView, view_named
from mqi_communicator.store import orders
from mqi_communicator.store.database import Database
from mqi_communicator.store.existing import open_existing
from mqi_communicator.store.orders import Order


def open_store(config: Config, *, read_only: bool = True) -> Database:
    """Open the store of this configuration. ActionRequired if there is none: no command but the communicator itself
    creates anything."""
    return open_existing(config.paths.store, read_only=read_only)


def find_case(database: Database, name: str, policy: ViewPolicy = DEFAULT_POLICY) -> CaseView:
    """Find the case with this key, start of a key, or folder name.

    Prints a message and exits if there is none, or if the name matches cases of several folders."""
    found = database.read_now(view_named, name, time.time(), policy)
    if not found:
        exit_codes.print_error(f'mqi: no case matches "{name}"', "     mqi status lists them")
        raise typer.Exit(exit_codes.USAGE)
    if len({case.folder for case in found}) > 1:
        exit_codes.print_error(f'mqi: "{name}" matches {", ".join(case.case for case in found)}; give more of the key')
        raise typer.Exit(exit_codes.USAGE)
    return found[0]


def applied_order(database: Database, number: int, wait_s: float) -> Order | None:
    """The order once the communicator has applied it, None if that takes longer than `wait_s`."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        order = database.read_now(orders.get, number)
        if order.applied is not None:
            return order
        time.sleep(0.1)
    return None
