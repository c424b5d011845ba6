"""backup, restore: make copies of the store, and replace it with one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.cli.rescue import age
from mqi_communicator.config import load
from mqi_communicator.store.backup import back_up, backups, latest_intact, why_unusable
from mqi_communicator.store.ownership import StoreLock
from mqi_communicator.store.restore import restore as put_back
from mqi_communicator.system.command import typed, typed_start

Which = Annotated[Path | None, typer.Argument(metavar="BACKUP", help="Backup file; default: the newest intact one.")]
List = Annotated[bool, typer.Option("--list", help="List the backups and whether they are intact; change nothing.")]


def backup(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Back up the store now; the communicator may be running."""
    with exit_codes.report_faults(config):
        settings = load(config)
        if not settings.paths.store.is_file():
            raise ActionRequired(f"the store {settings.paths.store} does not exist yet", "")
        made = back_up(settings.paths.store, settings.backups, settings.backup.keep, time.time())
        print(json.dumps({"backup": str(made.path)}) if as_json else made.path)  # noqa: T201


def restore(
    name: Which = None, config: ConfigFile = DEFAULT, *, list_only: List = False, as_json: AsJson = False
) -> None:
    """Replace the store with a backup; the old file is kept. The communicator must not be running."""
    with exit_codes.report_faults(config):
        settings = load(config)
        if list_only:
            _list(settings.backups, as_json=as_json)
            return
        lock = StoreLock(settings.paths.lock)
        settings.paths.workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.hold()
        try:
            chosen = name or _newest(settings.backups, config)
            aside = put_back(chosen, settings.paths.store, time.time())
        finally:
            lock.release()
        if as_json:
            print(json.dumps({"restored": str(chosen), "kept": None if aside is None else str(aside)}))  # noqa: T201
            return
        print(f"restored {chosen}")  # noqa: T201
        if aside is not None:
            print(f"the old store is kept in {aside}")  # noqa: T201
        print(f"start the communicator: it recovers what happened after the backup: {typed_start(config)}")  # noqa: T201


def _newest(folder: Path, config: Path) -> Path:
    found = latest_intact(folder)
    if found is None:
        command = typed("restore", "--config", config, "FILE")
        raise ActionRequired(f"{folder} holds no intact backup", f"give a file: {command}")
    return found.path


def _list(folder: Path, *, as_json: bool) -> None:
    now = time.time()
    found = [(one, why_unusable(one.path)) for one in backups(folder)]
    if as_json:
        rows = [{"backup": str(one.path), "made": one.made, "wrong": wrong} for one, wrong in found]
        print(json.dumps(rows))  # noqa: T201
        return
    for one, wrong in found:
        print(f"{one.path}  {age(one, now)} old  {wrong or 'intact'}")  # noqa: T201
    if not found:
        print(f"{folder} holds no backup")  # noqa: T201
