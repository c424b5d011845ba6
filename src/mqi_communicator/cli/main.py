"""The table of all commands, and the application made from it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mqi_communicator.cli.lazy import LazyCommand

# By group of the help: each command, its module, and the first line of its help, which `mqi --help` shows without
# importing the module.
COMMANDS = {
    "Work": {
        "run": ("run", "Watch the folder and process every case to its verdict, until stopped."),
        "once": ("run", "Process the cases in the folder, then exit: 0 all passed, 1 not all, 3 host unreachable."),
        "web": ("dashboard", "Serve the dashboard until stopped, whether or not the communicator is running."),
    },
    "Look": {
        "status": (
            "status",
            "List the open cases and the last that have ended; with --all, --since, --verdict those that match.",
        ),
        "show": ("status", "Show everything known about a case: beams, checks, events."),
        "why": ("status", "Explain in one line what a case is waiting for and what happens next."),
        "plan": (
            "plan",
            "Summarize RT Ion Plans, and list for each engine every reason why a beam cannot be computed.",
        ),
        "delivery": (
            "delivery",
            "Judge what a machine recorded of a plan's fractions, spot by spot, against the plan.",
        ),
        "trend": (
            "trend",
            "Show gamma, dose scale and range difference of the delivered cases by machine, with mean and 2 SD.",
        ),
        "constancy": (
            "constancy",
            "List the constancy samples: last run, verdict, reason, next due. Exit 1 if one did not pass.",
        ),
        "audit": ("audit", "Show every recorded event of a case, or verify the hash chain of all events."),
    },
    "Sign": {
        "sign": ("sign", "Accept or reject the results of a case in the name of a user; the verdict does not change."),
        "report": (
            "report",
            "Regenerate report.html and report.pdf of delivered results; the verdict does not change.",
        ),
        "rejudge": (
            "orders",
            "Judge a finished case again from its stored doses with current limits; the old verdict is kept.",
        ),
    },
    "Operate": {
        "retry": (
            "orders",
            "Retry a failed case: beams without a dose get a new run, the rest continues where it stopped.",
        ),
        "hold": ("orders", "Put a case on hold; its running jobs continue."),
        "release": ("orders", "Release a case from hold."),
        "cancel": ("orders", "Cancel a case: kill its jobs, confirm that they have ended, and clean up the host."),
        "priority": ("orders", "Set the priority of a case: urgent, routine or background."),
        "lost": ("orders", "Declare a beam's job lost after checking the host; a new run may then start."),
        "backup": ("backups", "Back up the store now; the communicator may be running."),
        "restore": (
            "backups",
            "Replace the store with a backup; the old file is kept. The communicator must not be running.",
        ),
        "notify": ("notify", "Show the last notification of each channel, or send a test message."),
        "user": ("dashboard", "Manage who may sign in to the dashboard."),
        "token": ("token", "Manage the tokens with which programs use the API."),
    },
    "Set up": {
        "demo": ("samples", "Process the bundled sample end to end: a private sshd, rsync, Monte Carlo, a verdict."),
        "config": ("configuration", "Write the configuration of a site, or print an example."),
        "check": (
            "check",
            "Verify the configuration against reality: folders, host, host key, rsync, engine, free space, clock.",
        ),
        "sample": ("samples", "Write a synthetic case; it tests the processing, not the physics."),
        "fetch-engine": (
            "samples",
            "Fetch the dose engine MCsquare, verified by its digest; a complete folder is not changed.",
        ),
        "host-script": (
            "host_script",
            "Print the host script, to be installed on a host as the only command that our key may run.",
        ),
    },
}


class Commands(TyperGroup):
    """`mqi` with every command of the table, none of which is imported yet."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for commands in COMMANDS.values():
            for name, (module, short_help) in commands.items():
                self.add_command(LazyCommand(name, module, short_help))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as in Typer
        """Write the commands in their groups; Typer's own panels need rich, which takes long to load."""
        width = max(len(name) for name in self.commands)
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


app = typer.Typer(
    name="mqi",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: for a rich layout, rich would load Markdown and syntax highlighting
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - the callback of an option
    if asked:
        from importlib.metadata import version

        print(f"mqi-communicator {version('mqi-communicator')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def mqi(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Process proton patient-QA cases from a watched folder to a verdict."""


def main() -> None:
    """The entry point."""
    app(prog_name="mqi")
