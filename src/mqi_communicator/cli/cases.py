"""What commands about cases begin with: the store of a configuration, and the case that a name means."""

from __future__ import annotations

import time

import typer

from mqi_communicator.cli import exit_codes
from mqi_communicator.config import Config
from mqi_communicator.flow.view import CaseView, view_named
from mqi_communicator.store.database import Database, open_database


def open_store(config: Config) -> Database:
    """The store of this configuration, for looking and for orders."""
    config.paths.workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_database(config.paths.store)


def find_case(database: Database, name: str) -> CaseView:
    """The case that is meant. Exits with words if there is none, or if the name fits several folders' cases."""
    found = database.read_now(view_named, name, time.time())
    if not found:
        exit_codes.print_error(f'mqi: no case is called "{name}"', "     mqi status lists them")
        raise typer.Exit(exit_codes.USAGE)
    if len({case.folder for case in found}) > 1:
        exit_codes.print_error(f'mqi: "{name}" may mean {", ".join(case.case for case in found)}; give more of the key')
        raise typer.Exit(exit_codes.USAGE)
    return found[0]
