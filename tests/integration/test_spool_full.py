"""A spool without space is a reason to wait for a person, and leaves no half admission: on a real, tiny file system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mqi_communicator.demo.sample import write_sample

pytestmark = pytest.mark.real

TAKE = """
import sys
from pathlib import Path
from mqi_communicator.case.faults import DiskFull
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.spooling import copy_to_spool
from mqi_communicator.intake.options import IntakeOptions
folder, spool = Path(sys.argv[1]), Path(sys.argv[2]) / "key" / "case"
found = examine(folder, IntakeOptions(), still_for=1e6)
try:
    copy_to_spool(folder, spool, found)
except DiskFull as fault:
    print(fault.reason, "|", (spool / "manifest.json").exists())
"""


def test_full_spool(tmp_path):
    write_sample(tmp_path / "case", size="tiny")
    (tmp_path / "spool").mkdir()
    script = 'mount -t tmpfs -o size=64k spool "$1/spool" && exec "$2" -c "$3" "$1/case" "$1/spool"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable, TAKE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "not permitted" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("no file system can be mounted here")
    assert done.stdout == "the spool has no space left to copy the case | False\n", done.stderr
