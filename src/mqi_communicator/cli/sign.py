"""sign: record a physicist's decision beside the verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.case.model import CASE_ITEM, Event
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.account import invoker
from mqi_communicator.cli.cases import find_case, open_store
from mqi_communicator.cli.options import DEFAULT, AsJson, CaseName, ConfigFile
from mqi_communicator.config import load
from mqi_communicator.results.signature import Decision, SignatureDocument
from mqi_communicator.store import audit


def sign(
    case: CaseName,
    name: Annotated[str, typer.Option(help="Name of the person who signs.")],
    role: Annotated[str, typer.Option(help="Role of that person, for example: medical physicist.")],
    config: ConfigFile = DEFAULT,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Reason; required if the decision contradicts the verdict.")
    ] = "",
    *,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the results.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject the results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Accept or reject the results of a case: the signed version is locked, the verdict does not change."""
    from mqi_communicator.flow.spool.layout import Spool
    from mqi_communicator.flow.tasks.sign import Signer, sign_results

    with exit_codes.report_faults():
        if accept == reject:
            exit_codes.print_error("mqi: give either --accept or --reject")
            raise typer.Exit(exit_codes.USAGE)
        settings = load(config)
        database = open_store(settings)
        found = find_case(database, case)
        if not found.results:
            exit_codes.print_error(
                f"mqi: {found.case} has no results yet", f"     mqi why {found.case} explains its state"
            )
            raise typer.Exit(exit_codes.NOT_PASSED)
        decision = Decision.ACCEPT if accept else Decision.REJECT
        signer = Signer(decision, visible(name.strip()), visible(role.strip()), visible(reason), invoker())
        spool = Spool(settings.paths.workspace / "spool" / found.case)
        try:
            signed = sign_results(spool, Path(found.results), signer, time.time())
        except ValueError:  # pydantic's message would quote the name
            exit_codes.print_error("mqi: --name and --role must have 2 to 80 characters, --reason at most 500")
            raise typer.Exit(exit_codes.USAGE) from None
        database.write_now(audit.append, _event(found.case, found.step, signed))
        print(signed.model_dump_json(by_alias=True) if as_json else f"{found.case}: {signed.summary}")  # noqa: T201


def _event(case: str, step: str, signed: SignatureDocument) -> Event:
    facts: dict[str, object] = {
        "decision": signed.decision.value,
        "name": signed.name,
        "role": signed.role,
        "overrides": signed.overrides,
        "manifest": signed.manifest,
    }
    return Event(
        at=time.time(),
        case=case,
        beam=CASE_ITEM,
        event="case.signed",
        step=step,
        who=signed.account,
        why=signed.summary,
        facts=facts,
    )
