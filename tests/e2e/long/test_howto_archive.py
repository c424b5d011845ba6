"""docs/howto.md, to the letter: results are archived and verified without the communicator, old data is removed, and
people see the time of their zone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.conftest import Site

pytestmark = pytest.mark.timeout(900)


def results(site: Site) -> Path:
    return Path(str(site.status()[0]["results"]))


def wrong_files(folder: Path) -> list[str]:
    """What a person finds who has nothing but the folder of a case: files that are not those of its manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        made["name"]
        for made in manifest["outputs"]
        if hashlib.sha256((folder / made["name"]).read_bytes()).hexdigest() != made["sha256"]
    ]


def test_what_is_kept_and_removed_and_which_time_is_shown(site: Site, tmp_path: Path, monkeypatch):
    site.reports()
    site.drop("case")
    ended = site.mqi("once", timeout=280)
    assert site.status()[0]["status"] == "done", ended.stderr
    an_archive_is_verified_without_the_communicator(site, tmp_path / "archive")
    people_see_local_time_and_programs_utc(site, monkeypatch)
    a_time_that_a_person_types_is_local(site, monkeypatch)
    without_its_spool_no_report_is_generated(site)
    removed_results_are_noted_and_neither_signed_nor_judged_again(site)


def an_archive_is_verified_without_the_communicator(site: Site, archive: Path) -> None:
    copy = ("rsync", "-a", "--exclude", ".*", f"{site.results}/", f"{archive}/")
    subprocess.run(copy, check=True, timeout=60)
    (case,) = archive.iterdir()  # and no marker of the folder
    assert case.name == results(site).name
    assert wrong_files(case) == []
    (case / "verdict.json").write_text("{}")
    assert wrong_files(case) == ["verdict.json"]


def people_see_local_time_and_programs_utc(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = results(site)
    recorded = [(folder / name).read_text() for name in ("verdict.json", "events.jsonl")]
    written = json.loads((folder / "manifest.json").read_text())["judged"]
    assert datetime.fromisoformat(written).utcoffset() == timedelta(0)
    last = json.loads(recorded[1].splitlines()[-1])["at"]  # seconds since 1970
    assert abs(last - datetime.fromisoformat(written).timestamp()) < 600
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert "+05:45" in site.mqi("show", "case").stdout
    assert "UTC+05:45" in site.mqi("status").stdout
    assert "+05:45" not in (folder / "report.html").read_text()
    assert site.mqi("report", "case").returncode == 0
    assert "+05:45" in (folder / "report.html").read_text()
    assert [(folder / name).read_text() for name in ("verdict.json", "events.jsonl")] == recorded
    assert wrong_files(folder) == []
    assert site.mqi("audit", "--verify").returncode == 0


def a_time_that_a_person_types_is_local(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case came just now. This hour of the clock is 7 hours ago in one zone, and 17 hours ahead in the other."""
    later = (datetime.now(UTC) + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M")
    for zone, number in (("Etc/GMT-12", 1), ("Etc/GMT+12", 0)):
        monkeypatch.setenv("TZ", zone)
        assert len(json.loads(site.mqi("status", "--since", later, "--json").stdout)["cases"]) == number, zone


def without_its_spool_no_report_is_generated(site: Site) -> None:
    before = (results(site) / "report.pdf").read_bytes()
    shutil.rmtree(site.workspace / "spool" / results(site).name)
    again = site.mqi("report", "case")
    assert again.returncode == 1
    assert "not generated" in again.stdout, again.stdout
    assert (results(site) / "report.pdf").read_bytes() == before
    assert wrong_files(results(site)) == []


def removed_results_are_noted_and_neither_signed_nor_judged_again(site: Site) -> None:
    user = ("user", "add", "ann", "--role", "physicist", "--full-name", "Ann Example", "--title", "Physicist")
    password = "a long enough password\n"
    assert site.mqi(*user, "--password-stdin", typed=password).returncode == 0
    key = results(site).name
    shutil.rmtree(results(site))
    verified = site.mqi("audit", "--verify")
    assert verified.returncode == 0, verified.stdout
    assert key in verified.stdout
    signed = site.mqi("sign", "case", "--accept", "--user", "ann", "--password-stdin", typed=password)
    assert signed.returncode == 1, signed.stdout
    site.mqi("rejudge", "case", "--reason", "the results were removed")
    site.mqi("once", timeout=280)
    assert not list(site.results.glob("*/verdict.json"))
