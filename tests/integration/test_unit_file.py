"""The unit for systemd: no line of it that systemd does not know, few open doors, and what the program needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mqi_communicator.cli import exit_codes
from mqi_communicator.web import http_server

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/mqi.service"


def analyze(*words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def here(tmp_path):
    """The unit as it would stand on this machine: its checkout is this one, by a path without spaces."""
    unit = tmp_path / "mqi.service"
    (tmp_path / "mqi").symlink_to(ROOT)
    unit.write_text(UNIT.read_text().replace("/opt/mqi", str(tmp_path / "mqi")))
    return unit


def setting(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_understands_every_line(here):
    ended = analyze("verify", "--man=no", "--recursive-errors=no", str(here))
    assert (ended.returncode, ended.stderr.strip()) == (0, "")


def test_a_line_that_systemd_does_not_know_is_found(here):
    here.write_text(here.read_text().replace("ProtectClock=yes", "ProtectClocks=yes"))
    assert "ProtectClocks" in analyze("verify", "--man=no", "--recursive-errors=no", str(here)).stderr


def test_few_doors_are_open(here):
    ended = analyze("security", "--offline=yes", "--no-pager", "--threshold=20", str(here))  # of 100
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_the_program_needs_is_left_to_it():
    """Workers call nice and setrlimit; ssh, rsync and the pages need sockets; numba writes code that it then runs."""
    assert setting("SystemCallFilter") == ["@system-service"]
    assert "@resources" in analyze("syscall-filter", "@system-service").stdout.split()
    assert "setpriority" in analyze("syscall-filter", "@resources").stdout.split()
    assert not setting("MemoryDenyWriteExecute")
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(setting("RestrictAddressFamilies")[0].split())


def test_memory_that_runs_out_ends_a_worker_and_not_the_service():
    """By default (OOMPolicy=stop) systemd stops a service of which the kernel has killed any process."""
    assert setting("OOMPolicy") == ["continue"]
    assert setting("MemoryMax") == ["80%"]
    assert not setting("OOMScoreAdjust"), "workers raise their own above that of the communicator"


def test_files_are_enough_for_the_pages_and_mounts_are_its_own():
    (files,) = setting("LimitNOFILE")
    assert int(files) >= 8 * http_server.MAX_CONNECTIONS
    assert setting("PrivateMounts") == ["yes"]
    assert not setting("MountFlags"), (
        "a watched share that is mounted again must become visible: no private propagation"
    )


def test_it_starts_the_program_as_the_documents_say_and_gives_up_on_a_wrong_configuration():
    assert setting("ExecStart") == ["/opt/mqi/deploy.sh /etc/mqi/config.yaml"]
    assert setting("RestartPreventExitStatus") == [str(exit_codes.USAGE)]
    assert setting("KillMode") == ["mixed"]
    assert "deploy/mqi.service" in (ROOT / "docs/operations.md").read_text()
    assert "ExecStart=" not in (ROOT / "docs/operations.md").read_text()
