"""The table of all commands, and the application made from it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from mqi_communicator.cli.lazy import LazyCommand

# By module: each command's name and the first line of its help, which `mqi --help` shows without importing the module.
COMMANDS = {
    "status": {
        "status": "List the open cases and the last that have ended; with --all, --since, --verdict those that match.",
        "show": "Show everything known about a case: beams, checks, events.",
        "why": "Explain in one line what a case is waiting for and what happens next.",
    },
    "orders": {
        "retry": "Retry a failed case: beams without a dose get a new run, the rest continues where it stopped.",
        "hold": "Put a case on hold; its running jobs continue.",
        "release": "Release a case from hold.",
        "cancel": "Cancel a case: kill its jobs, confirm that they have ended, and clean up the host.",
        "priority": "Set the priority of a case: urgent, routine or background.",
        "rejudge": "Judge a finished case again from its stored doses with current limits; the old verdict is kept.",
        "lost": "Declare a beam's job lost after checking the host; a new run may then start.",
    },
    "check": {
        "check": "Verify the configuration against reality: folders, host, host key, rsync, engine, free space, clock.",
    },
    "backups": {
        "backup": "Back up the store now; the communicator may be running.",
        "restore": "Replace the store with a backup; the old file is kept. The communicator must not be running.",
    },
    "report": {
        "report": "Regenerate report.html and report.pdf of delivered results; the verdict does not change.",
    },
    "dashboard": {
        "web": "Serve the dashboard until stopped, whether or not the communicator is running.",
        "user": "Manage who may sign in to the dashboard.",
    },
    "token": {
        "token": "Manage the tokens with which programs use the API.",
    },
    "audit": {
        "audit": "Show every recorded event of a case, or verify the hash chain of all events.",
    },
    "sign": {
        "sign": "Accept or reject the results of a case in the name of a user; the verdict does not change.",
    },
    "notify": {
        "notify": "Show the last notification of each channel, or send a test message.",
    },
    "constancy": {
        "constancy": "List the constancy samples: last run, verdict, reason, next due. Exit 1 if one did not pass.",
    },
    "trend": {
        "trend": "Show gamma, dose scale and range difference of the delivered cases by machine, with mean and 2 SD.",
    },
    "run": {
        "run": "Watch the folder and process every case to its verdict, until stopped.",
        "once": "Process the cases in the folder, then exit: 0 all passed, 1 not all, 3 host unreachable.",
    },
    "host_script": {
        "host-script": "Print the host script, to be installed on a host as the only command that our key may run.",
    },
    "plan": {
        "plan": "Summarize RT Ion Plans, and list for each engine every reason why a beam cannot be computed.",
    },
    "samples": {
        "demo": "Process the bundled sample end to end: a private sshd, rsync, Monte Carlo, a verdict.",
        "sample": "Write a synthetic case; it tests the processing, not the physics.",
    },
}


class Commands(TyperGroup):
    """`mqi` with every command of the table, none of which is imported yet."""

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
    rich_markup_mode=None,  # plain help: for a rich layout, rich would load Markdown and syntax highlighting
    pretty_exceptions_enable=False,
)


@app.callback()
def mqi() -> None:
    """Process proton patient-QA cases from a watched folder to a verdict."""


def main() -> None:
    """The entry point."""
    app(prog_name="mqi")
