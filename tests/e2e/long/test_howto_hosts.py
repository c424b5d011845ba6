"""docs/howto.md, to the letter: a host is added while a case is under way, and the first one is removed; real sshd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.waits import all_are, is_computed, named, why

from mqi_communicator.demo.host import PrivateHost

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def second(tmp_path) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path / "second host") as private:
        yield private


def test_a_host_is_added_while_a_case_is_under_way_and_the_first_one_is_removed(site, host, second):
    site.commission_engine()
    site.histories(600_000)
    daemon = site.daemon()
    site.drop("under way")
    site.wait_for(is_computed("under way"), "a job runs on the first host")

    # Add a host, steps 2 and 3: the sections move into the first item; the second host has a folder of its own.
    first = {section: site.settings.pop(section) for section in ("ssh", "direct")}
    reach = second.options().model_dump(mode="json", exclude_defaults=True)
    own = {"remote": str(site.folder / "remote-2"), "direct": dict(first["direct"])}
    first["jobs"] = 8  # cases are assigned to the host where they would end first, though it has a file STOP
    site.settings["hosts"] = [first, {"ssh": {**reach, "name": "gpu2"}, **own}]
    site.save()
    checked = site.mqi("check")
    assert checked.returncode == 0, checked.stdout
    assert daemon.stop() == 0
    site.histories(20_000)
    site.save()
    daemon = site.daemon()
    site.wait_for(all_are("done", "under way"), "a case under way stays on its host")
    assert len(site.starts()) == 2, "no beam was computed again"

    # Remove a host, step 1: nothing new starts there.
    (site.remote / "STOP").touch()
    site.drop("left on it", seed=2)
    why(site, "left on it", "STOP")
    site.drop("cancelled in time", seed=3)
    why(site, "cancelled in time", "STOP")
    # Step 2: no job runs there any more.
    assert site.ask("select count(*) from jobs where active") == [(0,)]
    assert site.mqi("cancel", "cancelled in time").returncode == 0
    site.settings["hosts"] = site.settings["hosts"][1:]
    site.save()
    # Step 3.
    checked = site.mqi("check")
    assert checked.returncode == 0, checked.stdout
    assert daemon.stop() == 0
    site.daemon()
    shown = why(site, "left on it", "which is no longer configured")
    assert "is computed on" in shown
    assert site.mqi("cancel", "left on it").returncode == 0
    for name, seed in (("left on it", 2), ("cancelled in time", 3)):
        site.drop(f"{name}, again", seed=seed)
        site.wait_for(all_are("done", f"{name}, again"), "copied in again it is computed on the second host")
        assert named(site.status(), f"{name}, again")["host"] == "gpu2"
