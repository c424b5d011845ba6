"""All commands in one list."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.cli import (
    audit,
    backups,
    check,
    constancy,
    dashboard,
    exits,
    look,
    notify,
    orders,
    report,
    sign,
    trend,
)
from mqi_communicator.cli.look import DEFAULT, AsJson, ConfigFile, open_store

app = typer.Typer(
    name="mqi",
    help="Takes proton patient-QA cases from a watched folder to a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    look.status,
    look.show,
    look.why,
    orders.retry,
    orders.hold,
    orders.release,
    orders.cancel,
    orders.priority,
    orders.rejudge,
    orders.lost,
    check.check,
    backups.backup,
    backups.restore,
    report.report,
    dashboard.web,
    audit.audit,
    sign.sign,
    notify.notify,
    constancy.constancy,
    trend.trend,
):
    app.command()(command)
app.add_typer(dashboard.users)


@app.command()
def run(config: ConfigFile = DEFAULT) -> None:
    """Watch the folder and take every case to its verdict, until told to stop."""
    from mqi_communicator.app import build
    from mqi_communicator.config import load
    from mqi_communicator.run import run as work

    with exits.told(config):
        asyncio.run(work(build(load(config))))


@app.command()
def once(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """Take what lies in the folder to its verdicts, then exit: 0 all passed, 1 not all, 3 host unreachable."""
    import json
    import time

    from mqi_communicator.app import build
    from mqi_communicator.config import load
    from mqi_communicator.flow.view import view_all
    from mqi_communicator.run import run as work

    with exits.told(config):
        settings = load(config)
        end = asyncio.run(work(build(settings), once=True))
        found = open_store(settings).read_now(view_all, time.time())
        if as_json:
            print(json.dumps({"end": end, "cases": [case.to_dict() for case in found]}))  # noqa: T201
        if end == "unreachable":
            raise typer.Exit(exits.UNREACHABLE)
        counted = [case for case in found if not (case.same_as or case.superseded_by or case.constancy)]
        if end == "stopped" or any(case.verdict != "pass" for case in counted):
            raise typer.Exit(exits.NOT_PASSED)


@app.command()
def host_script() -> None:
    """Print the script that answers on a host, for an administrator to install as the only thing our key may start."""
    from mqi_communicator.remote.verbs import library

    print(library(), end="")  # noqa: T201


@app.command()
def demo(
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the host and the communicator up to look around.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its things.")] = Path(".demo"),
    engine_home: Annotated[Path, typer.Option(help="Where the engine was fetched to.")] = Path(".setup/mcsquare"),
) -> None:
    """Take the bundled sample through the real route: a private sshd, rsync, Monte Carlo, a verdict."""
    from mqi_communicator.demo.show import play

    with exits.told():
        if not play(folder.resolve(), engine_home.resolve(), stay=stay):
            raise typer.Exit(exits.NOT_PASSED)


@app.command()
def sample(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to write it; must not exist yet, or be empty.")
    ] = None,
    kind: Annotated[str, typer.Option(help="What is in it, right or wrong; --list names the kinds.")] = "pass",
    size: Annotated[str, typer.Option(help="tiny, standard or large.")] = "standard",
    seed: Annotated[int, typer.Option(help="Another seed gives another patient with the same anatomy.")] = 1,
    *,
    list_kinds: Annotated[bool, typer.Option("--list", help="List kinds and sizes, and write nothing.")] = False,
) -> None:
    """Write a synthetic case, made up from nothing: it proves the route, not the physics."""
    from mqi_communicator.demo.sample import KINDS, SIZES, write_sample

    if list_kinds:
        for name, what in [*KINDS.items(), *((f"--size {size.name}", size.what) for size in SIZES.values())]:
            print(f"{name:22} {what}")  # noqa: T201
        return
    if folder is None or (folder.exists() and any(folder.iterdir())):
        exits.say("mqi: name a folder that does not exist yet, or is empty")
        raise typer.Exit(exits.USAGE)
    with exits.told():
        try:
            write_sample(folder, kind=kind, size=size, seed=seed)
        except ValueError as error:
            exits.say(f"mqi: {error}")
            raise typer.Exit(exits.USAGE) from None


def main() -> None:
    """The entry point."""
    app()
