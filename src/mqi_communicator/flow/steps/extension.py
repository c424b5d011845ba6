"""What was declared of a longer run of one case, and the engine that its dose comes from."""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.results.extension import Extension, extension_of
from mqi_communicator.store import audit, cases


def declaration(tools: Tools) -> Extension | None:
    """What the site's policy says now; None where it has none, or the engine has no fixed number of histories."""
    if tools.extension is None or tools.engine.histories is None:
        return None
    return Extension(tools.extension.max_histories_per_beam, tools.engine.histories)


async def declared(case: str, tools: Tools) -> Extension | None:
    """What was declared for this case before it was computed; None if nothing was. Closed after its first judgement."""
    text = (await tools.database.read(cases.get, case)).extension
    if not text:
        return None
    history = await tools.database.read(audit.history, case)
    return extension_of(text, closed=judgements.number(history) > 1)


async def engine_of(case: str, tools: Tools) -> DoseEngine:
    """The engine with the histories of this case: those of the longer run once it was ordered."""
    told = await declared(case, tools)
    return tools.engine.with_histories(told.second) if told is not None and told.made else tools.engine


def ordered(told: Extension, second: int) -> Extension:
    """The declaration with the longer run that follows now, in protons per beam."""
    return replace(told, second=second, closed=True)
