"""How to restore a damaged store: the exact command, with the newest intact backup."""

from __future__ import annotations

import time
from pathlib import Path

from mqi_communicator.case.faults import Fault
from mqi_communicator.config import ConfigProblem, load
from mqi_communicator.store.backup import Backup, latest_intact
from mqi_communicator.system.command import typed


def how_to_restore(config: Path) -> list[str]:
    """Lines of instructions that follow the message that the store is damaged."""
    try:
        folder = load(config).backups
        newest = latest_intact(folder)
    except ConfigProblem:
        return []
    except Fault as fault:
        return [fault.reason, fault.advice]
    if newest is None:
        other = "without a backup, move the damaged file away: the communicator then recovers the cases in the spool"
        command = typed("restore", "--config", config, "FILE")
        return [f"{folder} holds no intact backup: give a file: {command}", other]
    return [
        f"the newest intact backup is {age(newest, time.time())} old; nothing was changed. Restore it with",
        typed("restore", "--config", config, newest.path),
    ]


def age(backup: Backup, now: float) -> str:
    """The age of a backup in readable units."""
    seconds = max(0.0, now - backup.made)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
