"""web: serve the dashboard; user: manage its users."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import Config, load
from mqi_communicator.system.alive import report_alive
from mqi_communicator.system.limits import set_limits
from mqi_communicator.system.parent import die_with_parent, end_before_the_communicator
from mqi_communicator.web.options import Role, WebOptions

if TYPE_CHECKING:
    from mqi_communicator.web.users import UsersFile

user = typer.Typer(
    help="Manage who may sign in to the dashboard.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
OOM_SCORE = 250  # workers are ended before the dashboard, and the dashboard before the communicator
FullName = Annotated[str, typer.Option(help="Name of the person, stamped on what is signed.", show_default=False)]
Title = Annotated[str, typer.Option(help='Title of the person, such as "Medical Physicist".', show_default=False)]
Name = Annotated[str, typer.Argument(help="User name.")]


def web(
    config: ConfigFile = DEFAULT,
    *,
    watched: Annotated[bool, typer.Option("--watched", hidden=True, help="Started by the communicator.")] = False,
) -> None:
    """Serve the dashboard until stopped, whether or not the communicator is running."""
    if watched:
        die_with_parent()
        end_before_the_communicator(OOM_SCORE)
    with exit_codes.report_faults():
        settings = load(config)
        asyncio.run(_serve(settings, settings.web or WebOptions(), watched=watched))


def watched_web(config: Path) -> list[str]:
    """The command of the dashboard as a child process of the communicator."""
    return [sys.executable, "-P", "-m", "mqi_communicator", "web", "--watched", "--config", str(config.absolute())]


async def _serve(config: Config, options: WebOptions, *, watched: bool) -> None:
    from mqi_communicator.dashboard import open_dashboard
    from mqi_communicator.store.ownership import is_owned
    from mqi_communicator.telemetry import logs

    set_limits()
    logs.setup(config.monitoring.log_level, console=config.monitoring.log_format == "console")
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    dashboard = open_dashboard(config, options, lambda: is_owned(config.paths.lock))
    ends = [stop.wait(), *([report_alive()] if watched else [])]
    try:
        await asyncio.wait([asyncio.create_task(end) for end in ends], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await dashboard.close()


@user.command()
def add(
    name: Name,
    role: Annotated[
        Role, typer.Option(help="viewer: read only; operator: also give orders; physicist: also sign results.")
    ],
    config: ConfigFile = DEFAULT,
    full_name: FullName = "",
    title: Title = "",
    *,
    at_proxy: Annotated[
        bool, typer.Option("--at-proxy", help="The user signs in at the reverse proxy; no password.")
    ] = False,
    from_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    """Add a user, or change the role and password of one. Prompts for the password."""
    from mqi_communicator.web.users import User, hash_password

    with exit_codes.report_faults():
        password = "" if at_proxy else hash_password(_password(from_stdin=from_stdin))
        file = _file(config)
        known = file.users().get(name) or User(name, role)
        file.put(User(name, role, password, full_name.strip() or known.full_name, title.strip() or known.title))
        print(f"{name} may sign in as {role}")  # noqa: T201


@user.command()
def edit(
    name: Name,
    config: ConfigFile = DEFAULT,
    role: Annotated[Role | None, typer.Option(help="Another role.", show_default=False)] = None,
    full_name: FullName = "",
    title: Title = "",
) -> None:
    """Change the role, name or title of a user; the password stays."""
    with exit_codes.report_faults():
        file = _file(config)
        known = file.users().get(name)
        if known is None:
            raise ActionRequired(f'there is no user "{visible(name)}"', "mqi user list shows them")
        changed = replace(
            known,
            role=role or known.role,
            full_name=full_name.strip() or known.full_name,
            title=title.strip() or known.title,
        )
        file.put(changed)
        print(f"{name}: {changed.full_name or 'no name'}, {changed.title or 'no title'}, {changed.role}")  # noqa: T201


@user.command()
def remove(name: Name, config: ConfigFile = DEFAULT) -> None:
    """Remove a user; open sessions end at once."""
    with exit_codes.report_faults():
        _file(config).remove(name)
        print(f"{name} may no longer sign in")  # noqa: T201


@user.command(name="list")
def list_users(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """List the users."""
    from mqi_communicator.web.users import public

    with exit_codes.report_faults():
        found = [public(user) for user in _file(config).users().values()]
        if as_json:
            print(json.dumps(found))  # noqa: T201
            return
        for user in found:
            person = ", ".join(filter(None, (user["full_name"], user["title"])))
            print(f"{user['name']:24} {user['role']:10} signs in {user['signs_in']:13} {person}".rstrip())  # noqa: T201


def _file(config: Path) -> UsersFile:
    from mqi_communicator.web.users import users_of

    settings = load(config)
    return users_of(settings.web, settings.paths.workspace)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return typer.get_text_stream("stdin").readline().rstrip("\n")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer
