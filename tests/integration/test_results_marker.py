"""The results folder is recognised by its marker: an unmounted share leaves an empty folder, and nothing goes there."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.idle_site import write_idle_config
from tests.integration.test_delivery_folder import prepare
from tests.processes import kill
from tests.spooled import shut, spooled, two_hosts

from mqi_communicator.app import build
from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.outcome import Done
from mqi_communicator.config import load
from mqi_communicator.delivery.marker import MARKER, ResultsMarker
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.steps.deliver import deliver
from mqi_communicator.store import work_items

pytestmark = pytest.mark.real
KEY = "markercase22"


@pytest.fixture
def marker(tmp_path) -> ResultsMarker:
    (tmp_path / "results").mkdir()
    (tmp_path / "workspace").mkdir()
    return ResultsMarker(tmp_path / "results", tmp_path / "workspace" / "id")


@contextmanager
def unmounted(results: Path) -> Iterator[None]:
    """An empty folder where the results were."""
    results.rename(aside := results.with_name("aside"))
    results.mkdir()
    yield
    results.rmdir()  # fails unless it is still empty
    aside.rename(results)


def test_the_first_start_marks_the_folder_and_later_ones_change_nothing(marker):
    (marker.results / KEY).mkdir()  # an installation from before there were markers
    marker.establish()
    text = (marker.results / MARKER).read_text()
    assert len(text.strip()) == 32
    assert marker.record.read_text() == text
    marker.establish()
    marker.verify()
    assert (marker.results / MARKER).read_text() == text
    assert {path.name for path in marker.results.iterdir()} == {KEY, MARKER}


def test_a_folder_without_space_at_the_start_is_marked_before_the_first_delivery(marker, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mqi_communicator.delivery.marker._write", full)
        for attempt in (marker.establish, marker.verify):
            with pytest.raises(ActionRequired, match="No space left on device"):
                attempt()
    assert list(marker.results.iterdir()) == []
    marker.verify()
    assert (marker.results / MARKER).read_text() == marker.record.read_text()


def test_a_start_without_a_record_adopts_the_marker_that_is_there(marker, tmp_path):
    marker.establish()
    other = ResultsMarker(marker.results, tmp_path / "workspace" / "other")
    other.establish()
    assert other.record.read_text() == marker.record.read_text()


def test_an_unmounted_share_is_reported_and_not_marked(marker):
    marker.establish()
    with unmounted(marker.results):
        marker.establish()
        with pytest.raises(ActionRequired, match=f"it has no marker {MARKER}") as caught:
            marker.verify()
        assert str(marker.results) in caught.value.advice
        assert f"remove {marker.record} and restart" in caught.value.advice
    marker.verify()


@pytest.mark.parametrize("wrong", ["0" * 32 + "\n", "\xff", "longer" * 1000])
def test_another_marker_is_reported_until_the_record_is_removed(marker, wrong):
    marker.establish()
    (marker.results / MARKER).write_text(wrong)
    with pytest.raises(ActionRequired, match="has another id"):
        marker.verify()
    marker.record.unlink()
    marker.verify()
    marker.verify()
    assert marker.record.read_text().strip()


async def test_a_delivery_waits_for_the_share_and_then_arrives(tmp_path):
    app = two_hosts(tmp_path)
    try:
        spooled(app, KEY)
        await reconcile(app.tools)
        item = app.database.read_now(work_items.get, KEY)
        prepare(app.tools.spool(KEY).results, key=KEY)
        with unmounted(tmp_path / "results"), pytest.raises(ActionRequired, match="it has no marker"):
            await deliver(item, app.tools)
        assert isinstance(await deliver(item, app.tools), Done)
        assert (tmp_path / "results" / KEY / "manifest.json").is_file()
    finally:
        await shut(app)


async def test_a_share_that_vanishes_during_a_delivery_gets_no_results(tmp_path, marker):
    from mqi_communicator.delivery import folder

    marker.establish()
    calls = []

    def verify() -> None:
        calls.append(1)
        if len(calls) == 2:
            (marker.results / MARKER).unlink()
        marker.verify()

    with pytest.raises(ActionRequired):
        folder.deliver(prepare(tmp_path / "prepared"), marker.results, "abcdefghijkm", verify=verify)
    assert list(marker.results.iterdir()) == []


async def test_a_start_does_not_create_a_results_folder_that_was_used_before(tmp_path):
    await shut(two_hosts(tmp_path))
    (tmp_path / "results").rename(tmp_path / "aside")
    app = build(load(tmp_path / "config.yaml"))
    await shut(app)
    assert not (tmp_path / "results").exists()


def command(config: Path, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "mqi_communicator", *words, "--config", str(config)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return ended.stdout + ended.stderr


@pytest.mark.long
def test_a_running_communicator_reports_it_and_continues(tmp_path):
    config, results = write_idle_config(tmp_path), tmp_path / "results"
    words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(config))
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert any('"started"' in line for line in process.stdout)
        with unmounted(results):
            reported = next(json.loads(line) for line in process.stdout if '"results.untrusted"' in line)
            assert reported["level"] == "warning"
            assert "it has no marker" in reported["why"]
            status, check = command(config, "status"), command(config, "check")
            assert f"Nothing is delivered: {reported['why']} -> {reported['advice']}" in status
            assert f"NO  paths.results {results}: {reported['why']}" in check
            assert list(results.iterdir()) == []  # looking creates nothing
        assert any('"results.trusted"' in line for line in process.stdout)
        (tmp_path / "workspace" / "spool").rename(tmp_path / "spool")
        (tmp_path / "workspace" / "spool").mkdir()
        out, _ = process.communicate(timeout=60)
    finally:
        kill([process.pid])
    assert process.returncode == 1
    assert f"{tmp_path / 'workspace' / 'spool'} was removed or replaced" in out
    assert "Nothing is delivered" not in command(config, "status")
