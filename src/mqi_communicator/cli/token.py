"""token: tokens with which programs use /api/v1 in the name of a user."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.times import day, minute
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import DEFAULT, AsJson, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.web.options import ROLES, Role

if TYPE_CHECKING:
    from mqi_communicator.web.tokens import TokensFile, TokenUse
    from mqi_communicator.web.users import UsersFile

token = typer.Typer(
    help="Manage the tokens with which programs use the API.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@token.command()
def add(
    user: Annotated[str, typer.Argument(help="User in whose name the token acts.")],
    config: ConfigFile = DEFAULT,
    role: Annotated[
        Role, typer.Option(help="Most that it may do; never more than the user. physicist: it may sign.")
    ] = "viewer",
    days: Annotated[float, typer.Option(help="Days until it expires, at most 366.")] = 90.0,
    purpose: Annotated[str, typer.Option(help="What it is for, shown by `mqi token list`.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once: only its digest is kept."""
    with exit_codes.report_faults(config):
        users, tokens, _ = _files(config)
        known = users.users().get(user)
        if known is None:
            raise ActionRequired(f'there is no user "{visible(user)}"', "mqi user list shows them")
        if ROLES.index(role) > ROLES.index(known.role):
            raise ActionRequired(f"{user} has the role {known.role}", "a token cannot have a greater one")
        made, text = tokens.add(user, role, days, visible(purpose.strip())[:80], time.time())
        if as_json:
            print(json.dumps({"id": made.id, "user": user, "role": role, "expires": made.expires, "token": text}))  # noqa: T201
            return
        print(text)  # noqa: T201
        exit_codes.print_error(f"token {made.id} acts for {user} as {role} until {day(made.expires)}; keep it secret")


@token.command(name="list")
def list_tokens(config: ConfigFile = DEFAULT, *, as_json: AsJson = False) -> None:
    """List the tokens: user, role, expiry, last use."""
    from mqi_communicator.web.tokens import public

    with exit_codes.report_faults(config):
        _, tokens, use = _files(config)
        last, now = use.last(), time.time()
        found = [public(one, last.get(one.id)) for one in tokens.tokens().values()]
        if as_json:
            print(json.dumps(found))  # noqa: T201
            return
        for one in found:
            ends = "expired" if one["expires"] <= now else "until"
            used = "never used" if one["last_use"] is None else f"used {minute(one['last_use'], now)}"
            who = f"{one['id']:10} {one['user']:24} {one['role']:10}"
            print(f"{who} {ends} {day(one['expires'])}  {used}  {one['purpose']}".rstrip())  # noqa: T201


@token.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of the token.")], config: ConfigFile = DEFAULT
) -> None:
    """Remove a token; it ends at once."""
    with exit_codes.report_faults(config):
        removed = _files(config)[1].remove(name)
        print(f"token {removed.id} of {removed.user} is removed")  # noqa: T201


def _files(config: Path) -> tuple[UsersFile, TokensFile, TokenUse]:
    from mqi_communicator.web.tokens import token_use_of, tokens_of
    from mqi_communicator.web.users import users_of

    settings = load(config)
    users = users_of(settings.web, settings.paths.workspace)
    return users, tokens_of(users.path), token_use_of(settings.paths.workspace)
