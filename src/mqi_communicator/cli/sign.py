"""sign: accept or reject the results of a case, in the name of an account of the dashboard."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.account import invoker
from mqi_communicator.cli.cases import applied_order, find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, CaseName, ConfigFile
from mqi_communicator.config import Config, load
from mqi_communicator.flow.view import CaseView
from mqi_communicator.store import orders
from mqi_communicator.store.ownership import is_owned

if TYPE_CHECKING:
    from mqi_communicator.web.users import User

WAIT_S = 60.0


def sign(
    case: CaseName,
    config: ConfigFile = DEFAULT,
    user: Annotated[str, typer.Option("--user", "-u", help="User of the dashboard who signs.")] = "",
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Reason; required except to accept a verdict of pass.")
    ] = "",
    *,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the results.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject the results.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the user's password from stdin; else it is asked for.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a token of role physicist from stdin, instead of a password.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Accept or reject the results of a case in the name of a user; the verdict does not change."""
    from mqi_communicator.web.signer import number_due, shown_manifest, sign_request

    with exit_codes.report_faults(config):
        if accept == reject:
            exit_codes.print_error("mqi: give either --accept or --reject")
            raise typer.Exit(exit_codes.USAGE)
        if bool(user) == token_stdin:
            exit_codes.print_error("mqi: give either --user, who then enters the password, or --token-stdin")
            raise typer.Exit(exit_codes.USAGE)
        settings = load(config)
        database = open_store(settings, read_only=False)
        found = find_case(database, case)
        proof: Literal["password", "token"] = "token" if token_stdin else "password"
        person = _by_token(settings) if token_stdin else _by_password(settings, user, from_stdin=password_stdin)
        request = sign_request(
            person,
            "accept" if accept else "reject",
            proof=proof,
            through=f"command line of {invoker()}"[:120],
            seen=shown_manifest(found.results),
            number=number_due(found.signature),
        )
        number = database.write_now(
            orders.add,
            at=time.time(),
            case=found.case,
            order="sign",
            who=f"{person.name} (command line of {invoker()})",
            why=visible(reason.strip()),
            detail=request.text(),
        )
        running = is_owned(settings.paths.lock)
        done = applied_order(database, number, WAIT_S) if running else None
        answer = None if done is None else done.answer
        signed = answer is not None and not answer.startswith(orders.NOT_SIGNED)
        if as_json:
            print(json.dumps({"case": found.case, "running": running, "signed": signed, "answer": answer or ""}))  # noqa: T201
        else:
            _print(found, answer, running=running)
        if not signed:
            raise typer.Exit(exit_codes.NOT_PASSED)


def _print(case: CaseView, answer: str | None, *, running: bool) -> None:
    if answer is not None and not answer.startswith(orders.NOT_SIGNED):
        print(visible(f"{case.case}: {answer}"))  # noqa: T201
    elif answer is not None:
        exit_codes.print_error(f"mqi: {case.case}: {answer}")
    elif running:
        exit_codes.print_error(
            f"mqi: {case.case}: the order to sign is recorded; the communicator has not applied it yet",
            f"     mqi show {case.case} shows the signature",
        )
    else:
        exit_codes.print_error(
            f"mqi: {case.case}: the order to sign is recorded; it is applied when the communicator runs"
        )


def _by_password(config: Config, name: str, *, from_stdin: bool) -> User:
    """The user, who has given the password. ActionRequired if it is wrong."""
    from mqi_communicator.web.users import password_matches, users_of

    user = users_of(config.web, config.paths.workspace).users().get(name)
    password = (
        typer.get_text_stream("stdin").readline().rstrip("\n")
        if from_stdin
        else str(typer.prompt(f"Password of {visible(name)}", hide_input=True))
    )
    if not password_matches(user, password) or user is None:
        raise ActionRequired("incorrect user name or password", "mqi user list shows the users")
    return user


def _by_token(config: Config) -> User:
    """The user of the token on stdin. ActionRequired if it is not valid."""
    from mqi_communicator.web.tokens import tokens_of
    from mqi_communicator.web.users import users_of

    users = users_of(config.web, config.paths.workspace)
    text = typer.get_text_stream("stdin").readline().strip()
    token = tokens_of(users.path).find(text, time.time())
    user = users.users().get(token.user) if token is not None else None
    if token is None or user is None:
        raise ActionRequired("the token is not valid, or has expired", "mqi token list shows the tokens")
    return token.acts_as(user)
