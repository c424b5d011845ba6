"""A small round of random faults: the short mode of ./test.sh --faults, with a seed that never changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SEED = "7"


@pytest.mark.real
@pytest.mark.timeout(900)  # for a busy machine; a quiet one takes less than a minute
def test_a_small_round_of_faults_loses_nothing(tmp_path: Path):
    rounds = tmp_path / "rounds.jsonl"
    words = (sys.executable, "-m", "tests.faults", "--short", "--rounds", "1", "--seed", SEED, "--json", str(rounds))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    answer = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=880, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (played,) = [json.loads(line) for line in rounds.read_text().splitlines()]
    assert played["clean"]
    assert played["done"] + played["cancelled"] == played["cases"] >= 1
    assert played["kills"] >= 1
