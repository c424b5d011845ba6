"""Transfers through the installed script with the installed rsync and with 3.2.7, of Debian's main, at both ends."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.stolen_key import KEY, TOKEN, Installed, shell

from mqi_communicator.remote.rsync import Transport, fetch_command, names_to_fetch, send_command

pytestmark = pytest.mark.real
OLD = "3.2.7"


@pytest.fixture(scope="module", params=["installed", OLD])
def rsync(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an rsync."""
    if request.param == "installed":
        return Path(shutil.which("rsync") or pytest.skip("rsync is not installed")).parent
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("only apt-get and dpkg fetch an old rsync")
    folder = tmp_path_factory.mktemp("rsync")
    fetch = ("apt-get", "-qq", "download", f"rsync={OLD}*")
    if subprocess.run(fetch, cwd=folder, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip(f"rsync {OLD} is not in the package sources of this machine")
    (package,) = folder.glob("rsync_*.deb")
    subprocess.run(("dpkg", "-x", package, folder), check=True)
    tried = subprocess.run((folder / "usr/bin/rsync", "--version"), capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"rsync {OLD} does not start here")
    assert OLD in tried.stdout
    return folder / "usr/bin"


def transport(site: Installed, folder: Path) -> Transport:
    """What sshd does: the command line reaches the script as SSH_ORIGINAL_COMMAND."""
    client = folder / "client"
    words = " ".join(f"'{word}'" for word in site._argv)
    client.write_text(f'#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND="$*" exec {words}\n')
    client.chmod(0o755)
    return Transport((str(client),), installed=True)


def test_an_input_is_sent_and_products_are_fetched(rsync: Path, tmp_path: Path):
    site = Installed(tmp_path, shell("dash"))
    environment = {**os.environ, "PATH": f"{rsync}:{os.environ['PATH']}"}
    here, there = tmp_path / "here", transport(site, tmp_path)
    (here / "common").mkdir(parents=True)
    (here / "common" / "plan").write_text("input")
    sent = subprocess.run(
        send_command(here, str(site.root), KEY, there), env=environment, capture_output=True, timeout=60, check=False
    )
    assert sent.returncode == 0, sent.stderr
    assert (site.root / "staging" / KEY / "common" / "plan").read_text() == "input"
    site.run.mkdir(parents=True)
    (site.run / "dose").write_text("product")
    got = tmp_path / "got"
    got.mkdir()
    fetch = fetch_command(str(site.root), TOKEN, got, there, 4096)
    done = subprocess.run(
        fetch, env=environment, input=names_to_fetch(["dose"]), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (got / "dose").read_text() == "product"
