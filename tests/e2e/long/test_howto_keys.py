"""docs/howto.md, to the letter: the SSH key is rotated while cases are computed; real sshd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.e2e.waits import all_are, named, why

pytestmark = pytest.mark.timeout(900)


def waits(name: str):
    return lambda cases: named(cases, name).get("needs_person")


def test_the_key_is_rotated_while_it_runs(site, host):
    site.commission_engine()
    daemon = site.daemon()
    site.drop("with the old key")
    site.wait_for(all_are("done", "with the old key"), "the old key works")
    allowed, old = host.folder / "authorized_keys", Path(site.settings["ssh"]["identity_file"])
    new = site.folder / "id_next"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", new), check=True)
    both = allowed.read_text() + new.with_suffix(".pub").read_text()
    allowed.write_text(both)
    site.settings["ssh"]["identity_file"] = str(new)
    site.save()
    checked = site.mqi("check")
    assert checked.returncode == 0, checked.stdout
    site.drop("before the restart", seed=2)
    site.wait_for(all_are("done", "before the restart"), "the service still runs with the old one")
    assert daemon.stop() == 0

    daemon = site.daemon()
    allowed.write_text("")  # rejected in between
    site.drop("rejected", seed=3)
    site.wait_for(waits("rejected"), "a rejected key requires action")
    why(site, "rejected", "key")  # between two tries it may show the try
    allowed.write_text(new.with_suffix(".pub").read_text())  # the old line is removed
    old.unlink()
    site.wait_for(all_are("done", "rejected"), "it continues by itself")
    assert daemon.stop() == 0
