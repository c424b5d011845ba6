"""The longer run declared for a case, and the engine settings that its dose is computed with."""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.case.model import CaseKind
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.results.extension import Extension, extension_of
from mqi_communicator.store import audit, cases


def declaration(tools: Tools) -> Extension | None:
    """The site's current policy; None where there is none, or the engine has no fixed number of histories."""
    if tools.extension is None or tools.engine.histories is None:
        return None
    return Extension(tools.extension.max_histories_per_beam, tools.engine.histories)


async def declared(case: str, tools: Tools) -> Extension | None:
    """The declaration made before this case was computed; None if there is none. Closed after its first judgement."""
    text = (await tools.database.read(cases.get, case)).extension
    if not text:
        return None
    history = await tools.database.read(audit.history, case)
    return extension_of(text, closed=judgements.number(history) > 1)


async def engine_of(case: str, tools: Tools) -> DoseEngine:
    """The engine with the histories of this case: those of the longer run once it was ordered. The dose of a fraction
    has those of its plan."""
    row = await tools.database.read(cases.get, case)
    extension = await declared(row.parent if row.kind == CaseKind.DOSE else case, tools)
    if extension is None or not extension.made:
        return tools.engine
    return tools.engine.with_histories(extension.second)


def ordered(extension: Extension, second: int) -> Extension:
    """The declaration with the longer run that follows now, in protons per beam."""
    return replace(extension, second=second, closed=True)
