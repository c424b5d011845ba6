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
from mqi_communicator.cli.cases import applied_order, find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, CaseName, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.flow.transitions.apply import refusal_now
from mqi_communicator.store import orders
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
        database = open_store(settings, read_only=False)
        case = find_case(database, name)
        running = is_owned(settings.paths.lock)
        facts = {"case": case.case, "order": order_name, "running": running}
        if not running and (refused := database.read_now(refusal_now, case.case, order_name, beam, detail)):
            _print_result(facts, refused, effect=False, as_json=as_json)
            raise typer.Exit(exit_codes.NOT_PASSED)
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
        done = applied_order(database, number, WAIT_S) if running else None
        effect = done is None or database.read_now(orders.had_effect, done)
        _print_result(facts, "" if done is None else done.answer, effect=effect, as_json=as_json)
        if not effect:
            raise typer.Exit(exit_codes.NOT_PASSED)


def _print_result(facts: dict[str, object], answer: str, *, effect: bool, as_json: bool) -> None:
    """`effect`: whether the order does something, as far as known."""
    case, order = facts["case"], facts["order"]
    if as_json:
        print(json.dumps({**facts, "answer": answer, "effect": effect}))  # noqa: T201
    elif not effect:
        exit_codes.print_error(f"mqi: {case}: {answer}")
    elif answer:
        print(visible(f"{case}: {answer}"))  # noqa: T201
    elif facts["running"]:
        print(f"{case}: the order to {order} is recorded; the communicator has not applied it yet")  # noqa: T201
    else:
        print(f"{case}: the order to {order} is recorded; it is applied when the communicator runs")  # noqa: T201
