"""The steps of docs/howto.md with a real sshd: a new key beside the old one, verified, and the old one removed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from mqi_communicator.checks import Finding, check_section
from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost

pytestmark = pytest.mark.real


async def reached_with(key: Path, host: PrivateHost, folder: Path) -> list[Finding]:
    """What a check finds about the host with this key."""
    settings = {
        "paths": {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")},
        "ssh": host.options().model_dump(mode="json", exclude_defaults=True) | {"identity_file": str(key)},
        "engine": {"kind": "mcsquare", "home": "/opt/mcsquare"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return [finding async for finding in check_section(load(folder / "config.yaml"), "ssh")]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A second key."""
    key = tmp_path / "id_next"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    return key


async def test_a_key_is_rotated(tmp_path, new):
    with PrivateHost(tmp_path / "host") as host:
        old, allowed = Path(str(host.options().identity_file)), host.folder / "authorized_keys"
        assert not (await reached_with(new, host, tmp_path))[0].ok
        former = allowed.read_text()
        allowed.write_text(former + new.with_suffix(".pub").read_text())
        assert (await reached_with(old, host, tmp_path))[0].ok
        assert (await reached_with(new, host, tmp_path))[0].ok
        allowed.write_text(new.with_suffix(".pub").read_text())
        assert (await reached_with(new, host, tmp_path))[0].ok
        (refused,) = await reached_with(old, host, tmp_path)
        assert not refused.ok
        assert "key" in refused.what
