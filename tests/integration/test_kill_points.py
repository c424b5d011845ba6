"""Each kill point of the fault tests names a function that exists, and each change of the flow has kill points.

A point of a renamed function would never be hit; a change without a point would never be interrupted on purpose.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.points import EFFECTS

SOURCE = Path(__file__).resolve().parents[2] / "src" / "mqi_communicator"


@pytest.mark.parametrize("effect", [effect for effect in EFFECTS if effect.startswith(("store:", "worker:"))])
def test_the_function_of_a_kill_point_exists(effect: str):
    module, _, function = effect.partition(":")[2].rpartition(".")
    files = SOURCE.rglob(f"{module or '*'}.py")
    assert any(re.search(rf"^\s*def _?{function}\(", file.read_text(), re.MULTILINE) for file in files)


# They occur only after a restore, once in a workspace of an older version, or when results are signed: no round signs.
ELSEWHERE = {
    "store:signatures.record_found",
    "store:signing.change",
    "worker:sign_results",
    "store:cases.reapply_orders",
    "store:cases.readmit",
    "store:inputs.prepare_again",
    "store:inputs.extend_again",
    "store:deliveries.close_case",
    "store:cases.identify",
    "worker:identity_of",
}
# No round has deliveries that are refused, or computes their dose.
OF_DELIVERIES = {
    "store:join.record_refusal",
    "store:fraction_doses.want_dose",
    "store:fraction_doses.drop_dose",
    "worker:reconstruct_case",
}


def effects_of_the_flow() -> Iterator[str]:
    """Each function that the flow hands to the store or to a worker, as the kill points name it."""
    for path in (SOURCE / "flow").rglob("*.py"):
        tree = ast.parse(path.read_text())
        homes = {
            alias.asname or alias.name: (node.module or "").rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            called, name = ast.unparse(node.func), ast.unparse(node.args[0])
            if called.endswith("database.write"):
                module, _, function = name.rpartition(".")
                yield f"store:{module or homes.get(name, path.stem)}.{function.lstrip('_')}"
            elif called.endswith("workers.run"):
                yield f"worker:{name}"


def test_each_change_of_the_flow_has_kill_points():
    found = set(effects_of_the_flow())
    assert "store:signatures.open_case" in found
    assert "worker:write_input" in found
    assert found - set(EFFECTS) == ELSEWHERE | OF_DELIVERIES
