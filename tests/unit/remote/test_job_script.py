"""The job's script when its log is not writable."""

from __future__ import annotations

import subprocess
from importlib.resources import files

import pytest


@pytest.mark.parametrize(("log", "code", "begun"), [("/dev/full", 74, False), ("/dev/null", 0, True)])
def test_a_program_whose_beginning_cannot_be_told_is_not_begun(tmp_path, log, code, begun):
    """Found by a fault round: the dose was fetched, the log did not show the start, and the case failed."""
    verbs = files("mqi_communicator.remote.verbs")
    script = "\n".join((verbs / f"{name}.sh").read_text() for name in ("base", "job"))
    order = f"ends=$(($(up) + 60))\ngrace=1\nrun_program engine 0 0 touch made >>{log}"
    ended = subprocess.run(
        ("sh", "-c", f"{script}\n{order}"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert (tmp_path / "made").exists() is begun
