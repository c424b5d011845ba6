"""The demo, interrupted: its jobs are ended on the host, and no process is left."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.e2e.conftest import ENGINE


def of_this_demo(folder) -> list[str]:
    every = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in every.splitlines() if str(folder) in line]


@pytest.mark.long
def test_ctrl_c_cancels_the_jobs_and_leaves_no_process(tmp_path):
    argv = [sys.executable, "-m", "mqi_communicator", "demo", "--folder", str(tmp_path), "--engine-home", str(ENGINE)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        next(line for line in demo.stdout if "beam 1 follow" in line)
        demo.send_signal(signal.SIGINT)
        output = demo.stdout.read().split()
        assert demo.wait(90) == 130, output
    assert output[-1] == "cancelled"
    assert of_this_demo(tmp_path) == []
    assert not list((tmp_path / "slot-1" / "remote" / "cases").iterdir())
