"""prepare: write the engine's input from the admitted DICOM files."""

from __future__ import annotations

import json
from dataclasses import asdict

from mqi_communicator.case.model import CaseKind, WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.steps.extension import declaration, declared, engine_of
from mqi_communicator.flow.tasks import write_input
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, work_items


async def prepare(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `input/` is complete: common/, one folder per beam, SHA256SUMS. Its GPU demand is recorded and,
    before anything is computed, the longer run that the site's policy declares."""
    preparer = Preparer(await engine_of(item.case, tools), tools.preparation)
    facts, demand = await tools.workers.run(write_input, tools.spool(item.case), preparer, tools.conventions)
    demand_json = "" if demand is None else json.dumps(asdict(demand), sort_keys=True)
    await tools.database.write(cases.change, item.case, demand=demand_json)
    begun = len(await tools.database.read(work_items.of_case, item.case)) > 1
    extension = await declared(item.case, tools)
    ordered = extension is not None and extension.made  # a restored store may know no beam: the order holds even so
    dose = (await tools.database.read(cases.get, item.case)).kind == CaseKind.DOSE  # as long as the run of its plan
    if not (begun or ordered or dose) and (policy := declaration(tools)) is not None:
        await tools.database.write(cases.change, item.case, extension=policy.text())
        facts = {**facts, "first_histories": policy.first, "most_histories": policy.most}
    return Done(facts)
