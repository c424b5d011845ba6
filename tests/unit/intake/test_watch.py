"""The watched folder is looked at regularly, sooner on a change, and disbelieved when it is not itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import pytest

from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.scan import case_folders, scan_folder
from mqi_communicator.intake.watch import Watch

OFTEN = IntakeOptions(rescan_s=0.05)
SELDOM = IntakeOptions(rescan_s=60)


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "watched"
    made.mkdir()
    return made


async def ticks_until(watch, wanted, limit=60.0):
    async with asyncio.timeout(limit), contextlib.aclosing(watch.scans()) as scans:
        async for tick in scans:
            if wanted(tick):
                return tick
    raise AssertionError("the ticks ended")


def folders_of(tick):
    return tick.listing.folders


def shows(name):
    return lambda tick: tick.listing is not None and name in tick.listing.folders


async def test_periodic_look_alone_suffices(root):
    async def later():
        await asyncio.sleep(0.2)
        (root / "case").mkdir()

    task = asyncio.create_task(later())
    await ticks_until(Watch(root, OFTEN, settle_s=0.01), shows("case"))
    await task


async def test_a_change_is_noticed_long_before_the_next_look(root):
    async def later():
        for number in range(100):
            await asyncio.sleep(0.1)
            (root / f"case {number}").mkdir()

    task = asyncio.create_task(later())
    began = time.monotonic()
    await ticks_until(Watch(root, SELDOM, settle_s=0.05), shows("case 0"), limit=90)
    assert time.monotonic() - began < 30
    task.cancel()


async def test_a_share_that_goes_and_comes_back(root):
    (root / "case").mkdir()
    watch = Watch(root, OFTEN, settle_s=0.01)
    assert folders_of(await watch.scan()) == ("case",)
    gone = root.rename(root.with_name("gone"))
    tick = await watch.scan()
    assert tick.listing is None
    assert tick.problem == "the watched folder cannot be listed: No such file or directory"
    root.mkdir()
    assert "suddenly empty" in (await watch.scan()).problem
    (root / "stranger").mkdir()
    assert "is now another folder or share" in (await watch.scan()).problem
    (root / "stranger").rmdir()
    root.rmdir()
    gone.rename(root)
    assert folders_of(await watch.scan()) == ("case",)


async def test_a_change_deep_in_a_case_is_reported_with_the_name_of_its_folder(tmp_path):
    root = tmp_path / "watch"
    (root / "old case" / "ct").mkdir(parents=True)
    (root / "other").mkdir()
    scans = Watch(root, SELDOM, settle_s=0.01).scans()
    await anext(scans)
    await asyncio.sleep(1)  # for the first listing of what there is
    (root / "old case" / "ct" / "1.dcm").write_bytes(b"x")
    async with asyncio.timeout(90):
        seen = await anext(scans)
    assert seen.reported == {"old case"}
    await scans.aclose()


async def test_ticks_go_on_without_the_folder_and_hear_it_come(tmp_path):
    root = tmp_path / "later"
    watch = Watch(root, OFTEN, settle_s=0.01)
    seen = await ticks_until(watch, lambda tick: bool(tick.problem))
    assert seen.listing is None
    (root / "case").mkdir(parents=True)
    await ticks_until(watch, shows("case"))


def test_case_folders_and_what_is_none(root):
    for name in ("b", "a; touch x", "new\nline", ".hidden", "copy.part", os.fsdecode(b"\xff")):
        (root / name).mkdir()
    (root / "loose.dcm").write_bytes(b"")
    (root / "link").symlink_to(root / "b")
    found = case_folders(root)
    assert set(found.folders) == {"b", "a; touch x", "new\nline", os.fsdecode(b"\xff")}
    assert found.loose == ("loose.dcm",)
    assert [skipped.name for skipped in found.skipped] == ["link"]


def test_fingerprint_follows_every_change(root):
    (root / "deep" / "er").mkdir(parents=True)
    met = {scan_folder(root).fingerprint}
    path = root / "deep" / "er" / "file"
    for change in (
        lambda: path.write_bytes(b"1"),
        lambda: path.write_bytes(b"12"),
        lambda: os.utime(path, ns=(5, 5)),
        lambda: path.rename(path.with_name("other")),
        lambda: path.symlink_to("/etc/passwd"),
        lambda: path.with_name("other").unlink(),
    ):
        change()
        met.add(scan_folder(root).fingerprint)
    assert len(met) == 7
    assert scan_folder(root).fingerprint == scan_folder(root).fingerprint


def test_survey_counts_and_records_what_is_odd(root, tmp_path, monkeypatch):
    (root / "a").write_bytes(b"123")
    (root / ".hidden").write_bytes(b"123")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug")
        found = scan_folder(root)
    assert [seen.name for seen in found.files] == ["a"]
    assert found.bytes == 3
    assert found.newest == pytest.approx(time.time(), abs=60)
    assert {skipped.name: skipped.why for skipped in found.skipped} == {
        "out": "a symbolic link; links are not followed",
        "pipe": "not a regular file",
        "plug": "not a regular file",
    }


def test_survey_is_bounded(root):
    for number in range(50):
        (root / f"{number}").write_bytes(b"")
    assert scan_folder(root, max_files=10).too_many
    assert not scan_folder(root, max_files=50).too_many


async def test_an_end_that_comes_together_with_a_report_is_heard(tmp_path):
    async def look_on(root, moment):
        async def forever():
            async for _ in Watch(root, IntakeOptions(rescan_s=1)).scans():
                pass

        root.mkdir()
        looking = asyncio.create_task(forever())
        await asyncio.sleep(0.6)
        (root / "case").mkdir()
        await asyncio.sleep(moment)
        looking.cancel()
        _done, hanging = await asyncio.wait([looking], timeout=30)
        return bool(hanging)

    moments = [0.3 + number / 200 for number in range(100)]
    hung = await asyncio.gather(*(look_on(tmp_path / str(moment), moment) for moment in moments))
    assert [moment for moment, hangs in zip(moments, hung, strict=True) if hangs] == []
