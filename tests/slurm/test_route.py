"""A case is computed through Slurm with only another section in the YAML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mqi_communicator.demo.host import PrivateHost
from tests.e2e.conftest import Site
from tests.slurm.cluster import Cluster

SLURM = {"gres": "gpu:1", "query_s": 2, "look_s": 0.2, "files_late_s": 5, "kill_grace_s": 2}


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path / "host", environment=cluster.environment) as private:
        yield private


def site_on(folder: Path, host: PrivateHost, histories: int = 100_000, **slurm: object) -> Site:
    site = Site(folder, host)
    del site.settings["direct"]
    site.settings["slurm"] = {**SLURM, **slurm}
    site.settings["engine"] |= {"histories_per_beam": histories}
    site.config.write_text(yaml.safe_dump(site.settings))
    return site


@pytest.fixture
def site(tmp_path: Path, host: PrivateHost) -> Iterator[Site]:
    made = site_on(tmp_path, host)
    yield made
    for daemon in made.daemons:
        daemon.kill()


def verdict(site: Site) -> dict[str, object]:
    (case,) = site.status()
    assert case["status"] == "done", case
    document: dict[str, object] = json.loads((Path(str(case["results"])) / "verdict.json").read_text())
    return {name: value for name, value in document.items() if name != "case"}


def test_the_same_sample_ends_with_the_same_verdict_through_slurm_and_without(tmp_path, cluster, host):
    through, plain = tmp_path / "slurm", tmp_path / "direct"
    through.mkdir()
    plain.mkdir()
    one = site_on(through, host)
    one.drop()
    assert one.mqi("once").returncode in (0, 1)
    with PrivateHost(tmp_path / "plain host", environment={"SLURM_CONF": "/nowhere"}) as private:
        other = Site(plain, private, engine={"histories_per_beam": 100_000})
        other.drop()
        assert other.mqi("once").returncode in (0, 1)
    assert verdict(one) == verdict(other)
    differing = {name for name in one.settings if one.settings.get(name) != other.settings.get(name)}
    assert differing <= {"slurm", "paths", "ssh", "engine"}  # its own folders and its own host; and Slurm
    assert not list((one.remote / "cases").iterdir())


def test_killed_again_and_again_the_communicator_finds_its_jobs(site):
    site.drop()
    site.histories(400_000)
    for _life in range(5):
        daemon = site.daemon()
        daemon.until("step.done")
        daemon.kill()
    daemon = site.daemon()
    site.wait_for(lambda cases: any(beam["step"] == "follow" for beam in cases[0]["beams"]), "handed over")
    daemon.kill()
    daemon = site.daemon()
    (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "done", 200)
    assert Counter(site.starts()) == {f"{case['case']}-b1-r1": 1, f"{case['case']}-b2-r1": 1}
    assert daemon.stop() == 0


def test_a_node_that_dies_costs_its_jobs_a_run_and_the_case_nothing(tmp_path, cluster, host):
    site = site_on(tmp_path, host, 600_000, options=["--nodelist=node1"])
    site.drop()
    daemon = site.daemon()
    site.wait_for(lambda cases: cases and any(beam["percent"] for beam in cases[0]["beams"]), "computing")
    cluster.kill_node(1)
    site.wait_for(lambda cases: any(beam["run"] == 2 for beam in cases[0]["beams"]), "another run", 150)
    cluster.start_node(1)
    (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "done", 250)
    starts = Counter(site.starts())
    assert set(starts.values()) == {1}, "no run began twice"
    assert {token[:15] for token in starts} == {f"{case['case']}-b1", f"{case['case']}-b2"}
    daemon.kill()


def test_a_cancelled_case_leaves_the_queue_empty(site, cluster):
    site.histories(5_000_000)
    site.drop()
    daemon = site.daemon()
    (case,) = site.wait_for(lambda cases: cases and any(b["percent"] for b in cases[0]["beams"]), "computing")
    assert "being cancelled" in site.mqi("cancel", str(case["case"])).stdout
    site.wait_for(lambda cases: cases[0]["status"] == "cancelled", "cancelled")
    assert case["case"] not in cluster.ask("squeue", "-h", "-o", "%j %T")
    assert not list((site.remote / "cases").iterdir())
    daemon.stop()


def test_check_looks_at_slurm(site, cluster):
    output = site.mqi("check")
    assert "ok  private has a Slurm controller that answers" in output.stdout
    wrong = [line for line in output.stdout.splitlines() if line.startswith("NO ")]
    assert len(wrong) == 1, wrong
    assert "sha256" in wrong[0]  # the engine here is a wrapper that keeps a witness
    cluster.stop_controller()
    try:
        output = site.mqi("check")
        assert output.returncode == 1
        assert "NO  private has a Slurm controller that answers" in output.stdout
    finally:
        cluster.start_controller()
