"""The workspace scripts, run by a real shell."""
# ruff: noqa: ASYNC240 - a test may look at a small file

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mqi_communicator.case.faults import DiskFull, Permanent, RemoteUnfit, Transient
from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.case.work import Need
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote import requirements, workspace
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.ssh import SshHost

pytestmark = pytest.mark.real

KEY = "abcd2345efgh"
FILES = {"common/ct.raw": b"\x01" * 70_000, "beam-1/spots.csv": b"1,2", "beam-2/it's $(touch x).txt": b""}


@pytest.fixture
async def host() -> AsyncIterator[LocalHost]:
    made = LocalHost(LocalOptions())
    yield made
    await made.close()


@pytest.fixture
async def root(host: LocalHost, tmp_path: Path) -> Path:
    made = tmp_path / "root"
    workspace.read_workspace(await host.request(workspace.workspace(str(made)), deadline=90))
    return made


def staged(root: Path, files: dict[str, bytes] | None = None) -> str:
    """Write an upload as `send` leaves it; the digest of its list."""
    files = FILES if files is None else files
    folder = root / "staging" / KEY
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    sums = workspace.sums_text({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    (folder / workspace.SUMS).write_bytes(sums)
    return hashlib.sha256(sums).hexdigest()


async def settle(host: LocalHost, root: Path, digest: str) -> None:
    workspace.read_settle(await host.request(workspace.settle(str(root), KEY, digest), deadline=90))


async def settled(host: LocalHost, root: Path, digest: str) -> bool:
    return workspace.read_settled(await host.request(workspace.settled(str(root), KEY, digest), deadline=90))


async def test_a_workspace_is_ours_alone_and_may_be_made_again(host: LocalHost, root: Path):
    (root / "cases").chmod(0o755)
    workspace.read_workspace(await host.request(workspace.workspace(str(root)), deadline=90))
    assert sorted(path.name for path in root.iterdir()) == ["cases", "gates", "leases", "staging"]
    assert {path.stat().st_mode & 0o777 for path in (root, *root.iterdir())} == {0o700}


async def test_a_workspace_that_cannot_be_made_says_so(host: LocalHost, root: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RemoteUnfit, match="missing or not writable"):
        workspace.read_workspace(await host.request(workspace.workspace(str(tmp_path / "file" / "x")), deadline=90))
    (root / "gates").rmdir()
    (root / "gates").symlink_to(tmp_path)
    with pytest.raises(RemoteUnfit, match="gates is a link"):
        workspace.read_workspace(await host.request(workspace.workspace(str(root)), deadline=90))


async def test_an_upload_is_verified_and_put_in_place_once(host: LocalHost, root: Path):
    digest = staged(root)
    assert not await settled(host, root, digest)
    await settle(host, root, digest)
    place = root / "cases" / KEY / "input"
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == {*FILES, workspace.SUMS}
    assert not (root / "staging" / KEY).exists()
    await settle(host, root, digest)
    assert await settled(host, root, digest)


async def test_the_remains_of_cut_transfers_are_swept(host: LocalHost, root: Path):
    digest = staged(root)
    for folder in (".rsync-partial", "common/.rsync-partial"):
        (root / "staging" / KEY / folder).mkdir()
        (root / "staging" / KEY / folder / "x").write_text("half")
    await settle(host, root, digest)
    assert not list((root / "cases").rglob(".rsync-partial"))


SPOILS: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "common/ct.raw").write_bytes(b"\x01" * 69_999 + b"\x00"),
    "missing": lambda folder: (folder / "beam-1/spots.csv").unlink(),
    "extra": lambda folder: (folder / "beam-1/extra").touch(),
    "extra in the dark": lambda folder: (folder / ".extra").touch(),
    "link": lambda folder: (folder / "link").symlink_to("/etc/hostname"),
    "linked folder": lambda folder: (folder / "etc").symlink_to("/etc"),
    "fifo": lambda folder: os.mkfifo(folder / "fifo"),
    "list changed": lambda folder: (folder / workspace.SUMS).write_text(""),
    "list missing": lambda folder: (folder / workspace.SUMS).unlink(),
}


@pytest.mark.parametrize("spoil", SPOILS)
async def test_an_upload_that_differs_is_not_put_in_place(host: LocalHost, root: Path, spoil: str):
    digest = staged(root)
    SPOILS[spoil](root / "staging" / KEY)
    with pytest.raises(Transient, match="incomplete"):
        await settle(host, root, digest)
    assert not (root / "cases" / KEY / "input").exists()


async def test_a_spoiled_file_of_the_same_size_and_time_is_sent_again(host: LocalHost, root: Path, tmp_path: Path):
    digest = staged(root)
    upload, source = root / "staging" / KEY, tmp_path / "source"
    subprocess.run(("cp", "-a", str(upload), str(source)), check=True)  # noqa: ASYNC221 - a small copy
    times = (upload / "common/ct.raw").stat()
    (upload / "common/ct.raw").write_bytes(b"\x02" * 70_000)
    os.utime(upload / "common/ct.raw", ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(Transient, match="incomplete"):
        await settle(host, root, digest)
    await host.send(source, str(root), KEY, deadline=90)
    await settle(host, root, digest)


async def test_while_a_receiver_writes_nothing_is_put_in_place_or_removed(host: LocalHost, root: Path):
    digest = staged(root)
    with (root / "staging" / f"{KEY}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Transient, match="still writing"):
            await settle(host, root, digest)
        with pytest.raises(Transient, match="still writing"):
            workspace.read_removed(await host.request(workspace.remove(str(root), KEY), deadline=90))
    await settle(host, root, digest)


async def test_other_content_under_the_same_key_is_refused(host: LocalHost, root: Path):
    await settle(host, root, staged(root))
    digest = staged(root, {"other": b"x"})
    with pytest.raises(Permanent, match="other content"):
        await settle(host, root, digest)
    with pytest.raises(Permanent, match="other content"):
        await settled(host, root, digest)


async def test_removal_takes_the_case_and_nothing_else(host: LocalHost, root: Path, tmp_path: Path):
    await settle(host, root, staged(root))
    for name in (f"{KEY}-b1-r1", f".{KEY}-b1-r2.77", "other2345678-b1-r1", f"{KEY}x-b1-r1"):
        (root / "gates" / name).mkdir()
        (root / "gates" / name / "started").touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (root / "cases" / KEY / "link").symlink_to(outside)
    (root / "cases" / "other2345678").mkdir()
    for _ in range(2):
        workspace.read_removed(await host.request(workspace.remove(str(root), KEY), deadline=90))
    assert (outside / "precious").exists()
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "started")
    assert left == [
        "cases",
        "cases/other2345678",
        "gates",
        f"gates/{KEY}x-b1-r1",
        "gates/other2345678-b1-r1",
        "leases",
        "staging",
    ]


@pytest.mark.parametrize("place", ["cases", "staging"])
async def test_removal_goes_through_no_link(host: LocalHost, root: Path, tmp_path: Path, place: str):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (root / place / KEY).symlink_to(outside)
    with pytest.raises(RemoteUnfit, match="is a link"):
        workspace.read_removed(await host.request(workspace.remove(str(root), KEY), deadline=90))
    assert (outside / "precious").exists()


async def test_the_root_itself_is_no_link_to_follow_upwards(host: LocalHost, root: Path):
    for bad in ("/", "", "relative", "//", "/a\nb", "/a b", "/$(x)"):
        with pytest.raises(ValueError, match=r"absolute|plain words"):
            workspace.remove(bad, KEY)
    for bad in ("", "..", "a/b", "a b", "-rf", "$(x)", "a-b"):
        with pytest.raises(ValueError, match="letters and digits"):
            workspace.remove(str(root), bad)


async def test_free_space_is_told(host: LocalHost, root: Path):
    reported = workspace.read_space(await host.request(workspace.space(str(root)), deadline=90))
    real = os.statvfs(root)
    assert reported.free_bytes == pytest.approx(real.f_bavail * real.f_frsize, rel=0.05)
    assert reported.free_inodes is None or reported.free_inodes == pytest.approx(real.f_ffree, rel=0.05)
    with pytest.raises(RemoteUnfit):
        workspace.read_space(await host.request(workspace.space(str(root / "none")), deadline=90))


async def test_a_workspace_that_is_gone_is_not_an_empty_one(host: LocalHost, root: Path):
    digest = staged(root)
    root.rename(root.with_name("unmounted"))
    for call, read in (
        (workspace.settle(str(root), KEY, digest), workspace.read_settle),
        (workspace.settled(str(root), KEY, digest), workspace.read_settled),
        (workspace.remove(str(root), KEY), workspace.read_removed),
    ):
        with pytest.raises(RemoteUnfit, match="missing"):
            read(await host.request(call, deadline=90))
    assert not root.exists()


def test_a_full_disk_is_a_full_disk_whatever_the_code():
    with pytest.raises(DiskFull):
        workspace.read_settle(
            RemoteResponse(1, "mqi-trouble no-workspace\n", "sh: 1: cannot create x: No space left on device\n")
        )


QUOTA = """#!/bin/sh
# What quota(1) prints with -w -p; nothing where the file system has none.
echo "Disk quotas for user mqi (uid 1000): "
echo "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace"
echo "%s %s"
"""


@pytest.mark.parametrize(
    ("line", "bound", "inodes"),
    [
        ("1000 0 5000 0 10 0 110 0", 4000 * 1024, 100),
        ("6000* 0 5000 100 10 0 0 0", 0, None),
        ("1000 3000 0 0 10 0 0 0", 2000 * 1024, None),
        ("1000 0 0 0 10 0 0 0", None, None),
        ("garbage", None, None),
    ],
)
async def test_a_quota_counts_where_it_leaves_less_than_the_disk(tmp_path: Path, line: str, bound, inodes):
    device = subprocess.run(("df", "-P", str(tmp_path)), check=True, capture_output=True, text=True)  # noqa: ASYNC221
    (tmp_path / "bin").mkdir()
    quota = tmp_path / "bin" / "quota"
    quota.write_text(QUOTA % (device.stdout.splitlines()[1].split()[0], line))
    quota.chmod(0o755)
    with PrivateHost(tmp_path / "host", environment={"PATH": f"{quota.parent}:/usr/bin:/bin"}) as private:
        host = SshHost(private.options())
        root = str(tmp_path / "root")
        workspace.read_workspace(await host.request(workspace.workspace(root), deadline=90))
        reported = workspace.read_space(await host.request(workspace.space(root), deadline=90))
        await host.close()
    assert (reported.bound_by == "the account's quota") == (bound is not None)
    assert bound is None or reported.free_bytes == bound
    assert inodes is None or reported.free_inodes == inodes


async def test_what_lies_there_is_listed_with_its_age(host: LocalHost, root: Path):
    await settle(host, root, staged(root))
    old = root / "cases" / "old234567890"
    old.mkdir()
    os.utime(old, (1, 1))
    reported = workspace.read_left(await host.request(workspace.left(str(root)), deadline=90))
    assert reported[KEY] == 0
    assert reported["old234567890"] > 10_000


async def test_this_machine_has_what_jobs_and_uploads_need(host: LocalHost):
    reported = requirements.read_host(await host.request(requirements.host("direct"), deadline=90))
    assert len(reported) > 6
    assert [what for ok, what, _ in reported if not ok] == []


async def test_what_an_engine_needs_is_looked_for(host: LocalHost, tmp_path: Path):
    (tmp_path / "engine it's").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    path = str(tmp_path / "engine it's")
    wanted = (
        Need("program", "sh", ""),
        Need("program", "no-such-program", ""),
        Need("readable", path, ""),
        Need("executable", path, ""),
        Need("sha256", path, "", digest),
        Need("sha256", path, "", "0" * 64),
        Need("readable", "~/", ""),
    )
    reported = requirements.read_needs(wanted, await host.request(requirements.needs(wanted), deadline=90))
    assert [ok for ok, _, _ in reported] == [True, False, True, False, True, False, True]


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


LIBRARY = "tps_env: error while loading shared libraries: libcudart.so.12: cannot open shared object file"


async def test_an_engine_is_started_once_without_input(host: LocalHost, tmp_path: Path):
    """What it says of the missing input, and by which signal it ends, is its own affair; that it loads is not."""
    good = program(tmp_path, "good engine", 'ls -A; echo "what():  Cannot open $1"; kill -ABRT $$')
    starts = [
        (Need("starts", good, "", arguments=("none",)), True, "starts"),
        (Need("starts", "stdbuf", "", arguments=("-oL", good, "none")), True, f"{good} starts"),
        (Need("starts", good, "", arguments=("none",), says=r"Cannot open none$"), True, "starts"),
        (Need("starts", good, "", arguments=("none",), says="not found"), False, "prints 'what():  Cannot open none'"),
        (Need("starts", program(tmp_path, "lib", f"echo '{LIBRARY}' >&2; exit 127"), "build it", arguments=("x",)),
         False, f"cannot be started (exit code 127): {LIBRARY}"),
        (Need("starts", program(tmp_path, "wrapped", f"echo a word; echo '{LIBRARY}'; exit 1"), "", arguments=("x",)),
         False, LIBRARY),
        (Need("starts", program(tmp_path, "other cpu", "kill -ILL $$"), "", arguments=("x",)), False, "exit code 132"),
        (Need("starts", str(tmp_path / "none"), "", arguments=("x",)), False, "exit code 127"),
        (Need("starts", "stdbuf", "", arguments=("-oL", str(tmp_path / "none"), "x")), False, "exit code 127"),
    ]  # fmt: skip
    wanted = [need for need, _, _ in starts]
    reported = requirements.read_needs(wanted, await host.request(requirements.needs(wanted), deadline=90))
    for (_, ok, words), (found, what, _) in zip(starts, reported, strict=True):
        assert (found, words in what) == (ok, True), what
    assert reported[4][2] == "build it"


def test_what_may_not_be_looked_at_is_not_said_to_be_missing():
    ((ok, what, advice),) = requirements.read_needs(
        [Need("readable", "/x", "get it")], RemoteResponse(0, "mqi-need 1 barred\nmqi-done\n")
    )
    assert (ok, what) == (False, "checking /x is not allowed on the host")
    assert "--program" in advice


def test_an_engine_that_was_not_tried_or_hangs_is_not_said_to_start():
    need = Need("starts", "/opt/tps_env", "look", arguments=("none",))
    for output, words in {
        "mqi-done": "could not be tested",
        "mqi-started 1 barred": "is not allowed on the host",
        "mqi-started 1 124 ": "did not exit within 20 s",
        "mqi-started 1 127 not=base64": "cannot be started (exit code 127): no output",
    }.items():
        ((ok, what, advice),) = requirements.read_needs([need], RemoteResponse(0, f"{output}\n"))
        assert not ok
        assert words in what
        assert advice
