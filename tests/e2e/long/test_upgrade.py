"""docs/operations.md, Upgrading and Going back: from 0.1.0 to this version, back, and forth again; cases in all states.

The older version is that of a commit: the store and the results are written by its own code, not by a copy of them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.waits import all_are, is_computed

ROOT = Path(__file__).parents[3]
OLDER = "d00bec13ef773641c2e47c19da484b84bf42a587"  # the last commit of 0.1.0
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """The modules of 0.1.0; the libraries of this version satisfy it."""
    folder: Path = tmp_path_factory.mktemp("older")
    packed = subprocess.run(("git", "archive", OLDER, "src"), cwd=ROOT, capture_output=True, timeout=60, check=False)
    if packed.returncode:
        pytest.fail(f"0.1.0 is not in this clone; git fetch --unshallow: {packed.stderr.decode()}")
    subprocess.run(("tar", "-x", "-C", folder), input=packed.stdout, timeout=60, check=True)
    return folder / "src"


class Versions:
    """One site, run by either version: whatever is started next is of the one that was put in place last."""

    def __init__(self, site, older: Path, environment) -> None:
        self.site, self.older, self.environment = site, older, environment

    def put_older(self) -> None:
        self.environment.setenv("PYTHONPATH", str(self.older))
        assert self.modules().startswith(str(self.older))

    def put_newer(self) -> None:
        self.environment.delenv("PYTHONPATH", raising=False)
        assert self.modules().startswith(str(ROOT))

    def modules(self) -> str:
        """Where the commands of the site import the program from."""
        argv = (sys.executable, "-c", "import mqi_communicator as it; print(it.__file__)")
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout

    def wait_for(self, wanted, what: str, seconds: float = 480):
        """As `site.wait_for`, through the CLI of the version in place: reading the store here would upgrade it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.site.mqi("status", "--json")
            assert answer.returncode == 0, answer.stderr
            cases = json.loads(answer.stdout)["cases"]
            if wanted(cases):
                return cases
            time.sleep(1)
        return pytest.fail(f"never: {what}\n{json.dumps(cases, indent=1)}")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_forth_back_and_forth_again(site, older, monkeypatch):
    versions = Versions(site, older, monkeypatch)
    site.commission_engine()
    begin_with_the_older(site, versions)
    go_forth(site, versions)
    assert set(Counter(site.starts()).values()) == {1}, "no job ran twice"
    delivered = digests(site.results)
    go_back(site, versions)
    assert digests(site.results) == delivered
    go_forth_again(site, versions)
    assert digests(site.results) == delivered
    assert site.mqi("audit", "--verify").returncode == 0


def begin_with_the_older(site, versions) -> None:
    """One case is done, and the jobs of another one are running, when 0.1.0 is stopped."""
    versions.put_older()
    daemon = site.daemon()
    site.drop("before")
    versions.wait_for(all_are("done", "before"), "0.1.0 completes a case")
    site.histories(600_000)
    assert daemon.stop() == 0
    daemon = site.daemon()
    site.drop("across", seed=2)
    versions.wait_for(is_computed("across"), "a job runs on the host")
    assert daemon.stop() == 0


def go_forth(site, versions) -> None:
    """The start upgrades the store, after a backup; the jobs are followed; a third case is computed."""
    versions.put_newer()
    refused = site.mqi("status")
    assert refused.returncode == 1
    assert "has the format of an older version" in refused.stderr
    assert site.mqi("check").returncode == 0
    assert not (site.workspace / "backups/before-upgrade").exists()
    daemon = site.daemon()
    daemon.until("started")
    versions.wait_for(all_are("done", "before", "across"), "the job is followed to its end by this version")
    site.histories(20_000)
    site.drop("after", seed=3)
    versions.wait_for(all_are("done", "after"), "this version completes a case")
    assert daemon.stop() == 0
    assert site.mqi("audit", "--verify").returncode == 0


def go_back(site, versions) -> None:
    """0.1.0 refuses the store of this version; with the one from before, what this version completed fails."""
    store, started = digests(site.workspace)["store.sqlite3"], Counter(site.starts())
    (backup,) = (site.workspace / "backups/before-upgrade").glob("*.sqlite3")
    versions.put_older()
    refused = site.mqi("status")
    assert refused.returncode == 1
    assert "0014" in refused.stderr  # a stack trace in 0.1.0; later versions say it in words
    assert digests(site.workspace)["store.sqlite3"] == store
    restored = site.mqi("restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    daemon = site.daemon()
    daemon.until("started")
    versions.wait_for(all_are("failed", "across", "after"), "what this version has completed fails under 0.1.0")
    versions.wait_for(all_are("done", "before"), "what 0.1.0 has completed stays")
    assert daemon.stop() == 0
    again = Counter(site.starts()) - started
    assert all(token.endswith("-r2") and count == 1 for token, count in again.items()), again


def go_forth_again(site, versions) -> None:
    """What this version delivered counts, unless 0.1.0 has computed the case again."""
    versions.put_newer()
    daemon = site.daemon()
    daemon.until("started")
    versions.wait_for(all_are("done", "before", "across"), "what was delivered counts again")
    assert "the results folder already has other results" in site.mqi("why", "after").stdout
    assert daemon.stop() == 0
