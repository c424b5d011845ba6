"""The limit of file descriptors is raised when the communicator starts, and exported."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from mqi_communicator.system.limits import descriptors

UNLIMITED = resource.RLIM_INFINITY
PAGE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 2000))
from mqi_communicator.system.limits import set_limits
from mqi_communicator.telemetry.metrics import Metrics, Reading
set_limits()
print(Metrics([], [], Reading).render().decode())
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 524288, 65536),
        (1024, 4096, 4096),
        (1024, UNLIMITED, 65536),
        (100_000, 524288, 100_000),
        (UNLIMITED, UNLIMITED, UNLIMITED),
        (64, 64, 64),
    ],
)
def test_the_limit_is_raised_within_bounds_and_never_lowered(soft, hard, wanted):
    assert descriptors(soft, hard) == wanted


def test_the_metrics_page_has_the_raised_limit_and_what_is_open():
    ended = subprocess.run([sys.executable, "-c", PAGE], capture_output=True, text=True, check=True)
    found = dict(line.split() for line in ended.stdout.splitlines() if line.startswith("process_"))
    assert float(found["process_max_fds"]) == 2000
    assert 3 <= float(found["process_open_fds"]) < 100
