"""The demo follows the case of its plan, whichever case of the same folder name is newer."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mqi_communicator.case.model import CaseKind
from mqi_communicator.demo import show


def case(kind: str) -> Any:
    known = {"case": f"the {kind}", "folder": "sample-1", "kind": kind, "status": "done", "step": "tidy"}
    return SimpleNamespace(**known, beams=(), needs_person=False)


@pytest.mark.parametrize("newest", [CaseKind.PLAN, CaseKind.DELIVERY])
def test_the_case_of_the_plan_is_followed(newest):
    kinds = [newest, *(kind for kind in (CaseKind.PLAN, CaseKind.DELIVERY) if kind is not newest)]
    database: Any = SimpleNamespace(read_now=lambda *_: [case(kind) for kind in kinds])
    process: Any = SimpleNamespace(poll=lambda: None)
    followed = show._follow(database, process, "sample-1", Console(file=StringIO()))
    assert followed.case == "the plan"
