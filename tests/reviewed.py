"""A dashboard's store with one delivered case that a physicist reviews: results, report, goals and volumes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.model import Event, Status, WorkItem
from mqi_communicator.flow.tasks.viewer import viewer_digest
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.store import audit, cases, signatures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database
from tests.boards import ROLES, add_user, configure
from tests.judged import KEY, judged

GOALS = {
    "Target": ["D95% >= 95 %", "D2% <= 107 %"],
    "Lung": ["V5Gy <= 30 %", "Dmean <= 4 Gy"],
    "Couch*": ["D0.03cc <= 2 Gy"],
}
JUDGEMENT = {"gamma": {"per_beam": False}, "goals": {"structures": GOALS}}
_STEPS = {
    0: {"admit": 8, "prepare": 20, "upload": 31, "compare": 212, "report": 224, "deliver": 230, "tidy": 233},
    1: {"submit": 40, "follow": 150, "collect": 156, "verify": 161},
    2: {"submit": 41, "follow": 181, "collect": 187, "verify": 192},
}  # beam -> step -> when it was done, in s


def reviewed(base: Path, kind: str = "range-error", size: str = "tiny") -> Path:
    """The configuration. The case has the key `tests.judged.KEY`; nobody has signed it."""
    config = configure(base)
    case = judged(base / "workspace", kind, size, judgement=JudgementOptions.model_validate(JUDGEMENT))
    begin = time.time() - 900
    times = [replace(one, at=one.at + begin) for one in case.record.history]
    evidence = {**case.record.evidence, "engine": "MCsquare"}
    case = replace(case, record=replace(case.record, history=times, evidence=evidence))
    case.report(gamma=["2 %/2 mm"])
    results = case.deliver(base / "results")
    why = str(json.loads((results / "verdict.json").read_text())["why"])
    _record(base, results, case.word, why, viewer_digest(case.spool), begin)
    for name in ROLES:
        add_user(config, name)
    return config


def _record(base: Path, results: Path, word: str, why: str, volumes: str, begin: float) -> None:
    row = Case(
        KEY, base / "watch/sample-1", begin, "f", lineage="one plan", content="c", word=word, why=why, host="gpu1"
    )
    facts = {"compare": {"word": word}, "report": {"viewer": volumes}}
    done = sorted((at, beam, step) for beam, steps in _STEPS.items() for step, at in steps.items())

    def write(connection: Any) -> None:
        cases.add(connection, row)
        cases.identify(connection, KEY, CaseIdentity("MQI-SAMPLE", "TRUNK 10 GY", "MQI-DEMO"))
        for beam, steps in _STEPS.items():
            last = list(steps)[-1]
            item = WorkItem(KEY, beam, last, Status.DONE, since=begin + steps[last])
            first = Event(begin + (31 if beam else 0), KEY, beam, "beam.started" if beam else "case.seen")
            work_items.add(connection, item, first)
        for at, beam, step in done:
            more: dict[str, object] = {**facts.get(step, {}), "took_s": 3.0}
            audit.append(connection, Event(begin + at, KEY, beam, "step.done", step, "ready", "ready", facts=more))
        signatures.open_case(connection, KEY, str(results))

    database = open_database(base / "workspace/store.sqlite3")
    database.write_now(write)
    database.close()
