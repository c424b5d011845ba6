"""All commands in one list."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from mqi_communicator.cli.lazy import LazyCommand

# By module: each command's name and the first line of its help, which `mqi --help` shows without importing the module.
COMMANDS = {
    "status": {
        "status": "List the cases and where they stand.",
        "show": "Show all that is known of a case: beams, checks, events.",
        "why": "Say in one line why a case is where it is, and what will happen next.",
    },
    "orders": {
        "retry": "Try a failed case again: beams without a dose get a new run, the rest goes on where it stood.",
        "hold": "Stop moving a case; its running jobs go on.",
        "release": "Let a held case go on.",
        "cancel": "End a case for good: its jobs are killed, provably, and the host is tidied.",
        "priority": "Say how soon a case is wanted: urgent, routine or background.",
        "rejudge": "Judge a finished case again from its kept doses with the limits of now; the old verdict is kept.",
        "lost": "Confirm that a beam's job is dead where its host cannot tell; another run may then follow.",
    },
    "check": {
        "check": "Prove every claim of the configuration: folders, host, host key, rsync, engine, space, clock.",
    },
    "backups": {
        "backup": "Make a backup of the store now; the communicator may run meanwhile.",
        "restore": "Put a backup in the place of the store; the old file is kept. The communicator must not run.",
    },
    "report": {
        "report": "Draw report.html and report.pdf of delivered results again; the verdict is not touched.",
    },
    "dashboard": {
        "web": "Serve the dashboard, whether or not the communicator is running, until told to stop.",
        "user": "Who may sign in to the dashboard.",
    },
    "audit": {
        "audit": "Show every event of a case, each chained to the one before it; or verify the chain of all events.",
    },
    "sign": {
        "sign": "Accept or reject a case's results: the signed version is locked, the verdict stays what it is.",
    },
    "notify": {
        "notify": "Show when people were last told on each way, or send a test.",
    },
    "constancy": {
        "constancy": "List the constancy samples: last run, verdict, why it ran, next due. Exit 1 if one did not pass.",
    },
    "trend": {
        "trend": "Show gamma, dose scale and range difference of the delivered cases by machine, with mean and 2 SD.",
    },
    "run": {
        "run": "Watch the folder and take every case to its verdict, until told to stop.",
        "once": "Take what is in the folder to its verdicts, then exit: 0 all passed, 1 not all, 3 host unreachable.",
    },
    "host_script": {
        "host-script": "Print the script that answers on a host, to be installed there as all that our key may start.",
    },
    "plan": {
        "plan": "Print what RT Ion Plans hold, and every reason why a beam cannot be computed, by engine.",
    },
    "samples": {
        "demo": "Take the bundled sample through the real route: a private sshd, rsync, Monte Carlo, a verdict.",
        "sample": "Write a synthetic case, made up from nothing: it proves the route, not the physics.",
    },
}


class Commands(TyperGroup):
    """`mqi` with every command of the list, none of which is imported yet."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for module, commands in COMMANDS.items():
            for name, short_help in commands.items():
                self.add_command(LazyCommand(name, module, short_help))


app = typer.Typer(
    name="mqi",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help as plain text: to lay it out, rich would load Markdown and syntax highlighting
    pretty_exceptions_enable=False,
)


@app.callback()
def mqi() -> None:
    """Takes proton patient-QA cases from a watched folder to a verdict."""


def main() -> None:
    """The entry point."""
    app(prog_name="mqi")
