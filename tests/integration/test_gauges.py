"""The gauges match the state of store, hosts, GPUs and disks."""

from __future__ import annotations

import asyncio
import errno
import shutil
import subprocess
from dataclasses import replace

import pytest
from tests.integration.broken_site import TEN_DAYS, broken_site

from mqi_communicator.case.model import Status
from mqi_communicator.gauges import read_gauges
from mqi_communicator.store import work_items
from mqi_communicator.telemetry import catalogue
from mqi_communicator.telemetry.gauges import families

pytestmark = pytest.mark.real


async def test_the_gauges_show_queues_jobs_gpus_and_hosts(tmp_path):
    async with broken_site(tmp_path) as site:
        now = read_gauges(site.config, site.tools, site.driver, site.seen)
    assert now.items["compare", "ready"] == 3
    assert {step: count for step, count in now.action_required.items() if count} == {"collect": 1}
    assert 60 <= now.queue_age_s["follow"] < 600
    assert now.queue_age_s["tidy"] == 0
    assert all(now.case_age_s[priority] >= TEN_DAYS for priority in ("urgent", "routine", "background"))
    assert (now.jobs, now.job_slots["gpu1"], now.jobs_waiting["gpu1"]) == ({"gpu1": 1, "gpu2": 0}, 1, 1)
    assert {use: now.gpus["gpu1", use] for use in ("ours", "free", "unavailable")} == {
        "ours": 1,
        "free": 1,
        "unavailable": 1,
    }
    assert now.gpus_known == {"gpu1": True, "gpu2": False}
    assert now.gpu_load["gpu1", "0"] == 0.98
    assert now.gpu_memory["gpu1", "2"] == 9000 * 2**20
    assert abs(now.clock_offset_s["gpu1"]) < 5  # it is this machine
    assert now.clock_offset_s["gpu2"] == -7.0
    assert now.host_free["gpu1"] > 0
    assert now.breakers["gpu2", "bulk"] == "open"
    resources = site.config.resources
    heavy = dict.fromkeys(("preparations", "comparisons", "reports"), resources.workers)
    assert now.limits == {"admissions": resources.admissions, **heavy, "transfers": resources.transfers}


async def test_a_held_case_does_not_count_as_waiting(tmp_path):
    async with broken_site(tmp_path) as site:
        key = "aaaaaaaaaaaa"
        own = site.tools.database.read_now(work_items.get, key)
        site.tools.database.write_now(work_items.move, own, replace(own, status=Status.HELD), None)
        now = read_gauges(site.config, site.tools, site.driver, site.seen)
    assert now.case_age_s["urgent"] == 0
    assert now.items["compare", "held"] == 1


async def test_an_offline_results_share_hides_no_other_gauge(tmp_path, monkeypatch):
    async with broken_site(tmp_path) as site:
        real = shutil.disk_usage

        def usage(folder):
            if folder == site.tools.results:
                raise OSError(errno.ESTALE, "Stale file handle")
            return real(folder)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        now = read_gauges(site.config, site.tools, site.driver, site.seen)
    assert set(now.disk_free) == {"local"}
    assert now.jobs["gpu1"] == 1


async def test_the_age_of_the_backup_grows_while_its_disk_is_offline(tmp_path):
    async with broken_site(tmp_path) as site:
        site.config.backups.mkdir()
        (site.config.backups / "store-20250115T080000Z.sqlite3").touch()
        seen = read_gauges(site.config, site.tools, site.driver, site.seen)
        site.config.backups.rename(tmp_path / "away")
        site.config.backups.write_text("no folder")
        away = read_gauges(site.config, site.tools, site.driver, site.seen)
    assert seen.backup_age_s is not None
    assert away.backup_age_s is not None
    assert away.backup_age_s >= seen.backup_age_s


async def test_a_full_page_is_in_order_and_misses_no_gauge(tmp_path):
    async with broken_site(tmp_path) as site:
        site.trouble()
        text = site.metrics.render()
        shown = {family.name for family in families(site.metrics._read()) if family.samples}
    ended = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert {spec.name for spec in catalogue.READ} - shown == {catalogue.BACKUP_AGE.name}  # none was made here
    assert b"aaaaaaaaaaaa" not in text
