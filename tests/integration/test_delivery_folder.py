"""Results are delivered completely or not at all, once, and never overwrite others."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mqi_communicator.case.faults import ActionRequired, DiskFull, Permanent
from mqi_communicator.delivery.folder import deliver, delivered_results

KEY = "abcdefghijkm"


def prepare(folder, files=None, key=KEY, **more):
    files = {"verdict.json": b"{}", "doses/beam-1.dcm": b"one" * 1000, "doses/plan.dcm": b"sum"} | (files or {})
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    outputs = [{"name": n, "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(files.items())]
    (folder / "manifest.json").write_text(json.dumps({"case": key, "outputs": outputs} | more))
    return folder


@pytest.fixture
def prepared(tmp_path):
    return prepare(tmp_path / "prepared")


@pytest.fixture
def results(tmp_path):
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_everything_arrives_and_nothing_else_is_left(prepared, results):
    where = deliver(prepared, results, KEY)
    assert where == results / KEY
    assert content(where) == content(prepared)
    assert names(results) == [KEY]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_never_readable_by_the_world(prepared, results, umask):
    before = os.umask(umask)
    try:
        where = deliver(prepared, results, KEY)
    finally:
        os.umask(before)
    modes = {p.lstat().st_mode & 0o777 for p in [where, *where.rglob("*")]}
    assert modes == {0o750 & ~umask, 0o640 & ~umask}


def test_again_does_nothing(prepared, results):
    stamp = deliver(prepared, results, KEY).stat().st_ino
    assert deliver(prepared, results, KEY).stat().st_ino == stamp


def test_other_results_are_never_overwritten_and_both_digests_are_named(prepared, results, tmp_path):
    deliver(prepared, results, KEY)
    other = prepare(tmp_path / "other", {"verdict.json": b"changed"})
    before = content(results)
    with pytest.raises(Permanent) as caught:
        deliver(other, results, KEY)
    for folder in (prepared, other):
        assert hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() in caught.value.reason
    assert content(results) == before


def test_a_delivered_file_that_was_changed_is_reported(prepared, results):
    where = deliver(prepared, results, KEY)
    (where / "doses/plan.dcm").write_bytes(b"tampered")
    with pytest.raises(Permanent, match=r"were modified: doses/plan\.dcm"):
        deliver(prepared, results, KEY)


def test_a_signature_may_be_added_to_delivered_results_and_nothing_else(prepared, results):
    final = deliver(prepared, results, KEY)
    (final / "signature.json").write_text("{}")
    assert delivered_results(results, KEY) is not None
    (final / "strange.json").write_text("{}")
    with pytest.raises(Permanent, match=r"strange\.json"):
        delivered_results(results, KEY)


def test_the_results_of_another_case_are_refused(tmp_path, results):
    with pytest.raises(Permanent, match="not of abcdefghijkm"):
        deliver(prepare(tmp_path / "p", key="zzzzzzzzzzzz"), results, KEY)
    assert names(results) == []


@pytest.mark.parametrize("wrong", ["changed", "extra", "missing", "link", "no manifest", "no json"])
def test_files_that_are_not_in_the_manifest_are_not_delivered(prepared, results, wrong):
    dose = prepared / "doses/plan.dcm"
    if wrong == "changed":
        dose.write_bytes(b"mus")
    if wrong == "extra":
        (prepared / "another.dcm").write_bytes(b"stranger")
    if wrong in ("missing", "link"):
        dose.unlink()
    if wrong == "link":
        dose.symlink_to("/etc/hostname")
    if wrong == "no manifest":
        (prepared / "manifest.json").unlink()
    if wrong == "no json":
        (prepared / "manifest.json").write_text("{")
    with pytest.raises(Permanent):
        deliver(prepared, results, KEY)
    assert names(results) == []


@pytest.mark.parametrize("key", ["", ".", "..", "../elsewhere", "a/b", ".hidden", "a\nb"])
def test_only_a_key_can_name_a_folder(prepared, results, key):
    with pytest.raises(Permanent):
        deliver(prepared, results, key)
    assert names(results) == []


def test_a_missing_results_folder_requires_action_and_is_not_created(prepared, tmp_path):
    with pytest.raises(ActionRequired, match="does not exist"):
        deliver(prepared, tmp_path / "unmounted", KEY)
    assert not (tmp_path / "unmounted").exists()


def test_leftovers_of_a_killed_delivery_are_replaced(prepared, results):
    part = results / f".{KEY}.part"
    part.mkdir()
    (part / "old.dcm").write_bytes(b"half")
    assert content(deliver(prepared, results, KEY)) == content(prepared)
    assert names(results) == [KEY]


def test_a_file_in_the_place_of_the_folder_is_reported(prepared, results):
    (results / KEY).write_text("not a folder")
    with pytest.raises(Permanent, match="no manifest"):
        deliver(prepared, results, KEY)


def test_killed_at_any_moment_it_is_complete_or_absent(tmp_path, results):
    prepared = prepare(tmp_path / "big", {f"doses/beam-{n}.dcm": os.urandom(400_000) for n in range(12)})
    code = "import sys, pathlib; from mqi_communicator.delivery.folder import deliver; print('go', flush=True); "
    code += "deliver(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])"
    for delay in (0.0, 0.002, 0.01, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(prepared), str(results), KEY], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (results / KEY).exists():
            assert content(results / KEY) == content(prepared)
            shutil.rmtree(results / KEY)
    assert content(deliver(prepared, results, KEY)) == content(prepared)
    assert names(results) == [KEY]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB: only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_reported_and_left_clean(tmp_path, small_disk):
    prepared = prepare(tmp_path / "big", {"doses/beam-2.dcm": os.urandom(400_000)})
    with pytest.raises(DiskFull):
        deliver(prepared, small_disk, KEY)
    assert names(small_disk) == []


def test_a_read_only_disk_requires_action(prepared, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ActionRequired, match="cannot be written"):
        deliver(prepared, small_disk, KEY)
