"""Orders: recorded in the store, and applied by the communicator when it runs."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from mqi_communicator.case.model import Priority
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.account import invoker
from mqi_communicator.cli.cases import find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, CaseName, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.store import orders
from mqi_communicator.store.database import Database
from mqi_communicator.store.ownership import is_owned

Reason = Annotated[str, typer.Option("--reason", "-r", help="Reason, recorded with the order.")]
WAIT_S = 8.0


def retry(case: CaseName, config: ConfigFile = DEFAULT, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Retry a failed case: beams without a dose get a new run, the rest continues where it stopped."""
    _order("retry", case, config, reason, as_json=as_json)


def hold(case: CaseName, config: ConfigFile = DEFAULT, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Put a case on hold; its running jobs continue."""
    _order("hold", case, config, reason, as_json=as_json)


def release(case: CaseName, config: ConfigFile = DEFAULT, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Release a case from hold."""
    _order("release", case, config, reason, as_json=as_json)


def cancel(case: CaseName, config: ConfigFile = DEFAULT, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Cancel a case: kill its jobs, confirm that they have ended, and clean up the host."""
    _order("cancel", case, config, reason, as_json=as_json)


def rejudge(case: CaseName, config: ConfigFile = DEFAULT, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Judge a finished case again from its stored doses with current limits; the old verdict is kept."""
    _order("rejudge", case, config, reason, as_json=as_json)


def priority(
    case: CaseName,
    priority: Annotated[Priority, typer.Argument(help="The new priority.")],
    config: ConfigFile = DEFAULT,
    reason: Reason = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Set the priority of a case: urgent, routine or background."""
    _order("priority", case, config, reason, as_json=as_json, detail=priority.value)


def lost(
    case: CaseName,
    beam: Annotated[int, typer.Argument(help="Beam number.")],
    config: ConfigFile = DEFAULT,
    reason: Reason = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Declare a beam's job lost after checking the host; a new run may then start."""
    _order("lost", case, config, reason, as_json=as_json, beam=beam)


def _order(
    order_name: str, name: str, config: ConfigFile, reason: str, *, as_json: bool, beam: int = 0, detail: str = ""
) -> None:
    with exit_codes.report_faults(config):
        settings = load(config)
        database = open_store(settings)
        case = find_case(database, name)
        number = database.write_now(
            orders.add,
            at=time.time(),
            case=case.case,
            order=order_name,
            who=invoker(),
            why=reason,
            beam=beam,
            detail=detail,
        )
        running = is_owned(settings.paths.lock)
        answer = _answer(database, number) if running else ""
        if as_json:
            print(json.dumps({"case": case.case, "order": order_name, "running": running, "answer": answer}))  # noqa: T201
        elif answer:
            print(visible(f"{case.case}: {answer}"))  # noqa: T201
        elif running:
            print(f"{case.case}: the order to {order_name} is recorded; the communicator has not applied it yet")  # noqa: T201
        else:
            print(f"{case.case}: the order to {order_name} is recorded; it is applied when the communicator runs")  # noqa: T201


def _answer(database: Database, number: int) -> str:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        order = database.read_now(orders.get, number)
        if order.applied is not None:
            return order.answer
        time.sleep(0.1)
    return ""
