"""Each kill point of the fault tests names a function that exists; a point of a renamed one would never be hit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.faults.points import EFFECTS

SOURCE = Path(__file__).resolve().parents[2] / "src" / "mqi_communicator"


@pytest.mark.parametrize("effect", [effect for effect in EFFECTS if effect.startswith(("store:", "worker:"))])
def test_the_function_of_a_kill_point_exists(effect: str):
    module, _, function = effect.partition(":")[2].rpartition(".")
    files = SOURCE.rglob(f"{module or '*'}.py")
    assert any(re.search(rf"^\s*def _?{function}\(", file.read_text(), re.MULTILINE) for file in files)
