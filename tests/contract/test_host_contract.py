"""Every host keeps these promises: over a real sshd and on this machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mqi_communicator.case.faults import AbsurdAnswer, RemoteUnfit, TookTooLong, Transient, Unreachable
from mqi_communicator.case.request import RemoteRequest
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.rsync import fetch_command
from mqi_communicator.remote.ssh import SshHost

pytestmark = pytest.mark.real


Runner = SshHost | LocalHost  # hosts run any shell text; the flow only requests verbs


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("a host")) as host:
        yield host


@pytest.fixture(params=["ssh", "local"])
async def host(request: pytest.FixtureRequest, private: PrivateHost) -> AsyncIterator[Runner]:
    made: Runner = SshHost(private.options()) if request.param == "ssh" else LocalHost(LocalOptions())
    yield made
    await made.close()


KEY = "hostcontr234"
TOKEN = f"{KEY}-b1-r1"


@dataclass
class Folders:
    """A local folder, a workspace on the host (with an awkward name), and the files of a run in it."""

    source: Path
    there: Path
    back: Path

    @property
    def root(self) -> str:
        return str(self.there)

    @property
    def staging(self) -> Path:
        return self.there / "staging" / KEY

    @property
    def lock(self) -> Path:
        return self.there / "staging" / f"{KEY}.lock"

    @property
    def run(self) -> Path:
        return self.there / "cases" / KEY / "runs" / TOKEN


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "a: source", tmp_path / 'it\'s $(touch x) "there" %h & *', tmp_path / "back here")
    for folder in (made.source, made.run):
        (folder / "beam-1").mkdir(parents=True)
        (folder / "common").write_bytes(b"\x00\xff" * 5000)
        (folder / "beam-1" / "spots and $x.csv").write_text("1,2")
    for folder in (made.staging.parent, made.back):
        folder.mkdir()
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def titles() -> str:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes())
        except OSError:
            continue
    return b"\n".join(found).decode("utf-8", "replace")


async def test_a_script_ends_with_its_own_code(host: Runner):
    response = await host.run("echo out; echo err >&2; exit 255", deadline=90)
    assert (response.exit_code, response.out, response.err) == (255, "out\n", "err\n")


async def test_nothing_comes_of_nothing(host: Runner):
    response = await host.run("", deadline=90)
    assert (response.exit_code, response.out, response.err) == (0, "", "")


async def test_stdin_is_the_scripts_own(host: Runner):
    data = bytes(range(256)) * 4000
    response = await host.run("cat | sha256sum", deadline=20, stdin=data)
    assert response.out == (await host.run("sha256sum", deadline=20, stdin=data)).out
    assert (await host.run("wc -c", deadline=20, stdin=data)).out.strip() == str(len(data))
    assert (await host.run("cat", deadline=90)).out == ""


async def test_text_goes_through_unchanged(host: Runner):
    awkward = "printf '%s' \"it's\" ' $(touch x) `id` \\n !! % ä ☢'\n# a comment"
    assert (await host.run(awkward, deadline=90)).out == "it's $(touch x) `id` \\n !! % ä ☢"


async def test_a_script_longer_than_any_argument(host: Runner):
    response = await host.run("x='" + "y" * 400_000 + "'; echo ${#x}", deadline=90)
    assert response.out == "400000\n"


async def test_a_broken_script_is_a_finished_one(host: Runner):
    response = await host.run("if then )", deadline=90)
    assert response.exit_code == 2
    assert response.err


async def test_a_script_dead_by_signal_is_a_finished_one(host: Runner):
    assert (await host.run("sh -c 'kill -9 $$'", deadline=90)).exit_code == 137


async def test_undecodable_bytes_do_no_harm(host: Runner):
    assert (await host.run("printf 'a\\377b'", deadline=90)).out == "a\ufffdb"


async def test_what_is_made_is_ours_alone(host: Runner, tmp_path: Path):
    await host.run(f"touch {tmp_path}/made", deadline=90)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


async def test_no_process_title_shows_a_script(host: Runner):
    running = asyncio.create_task(host.run("echo quokka >/dev/null; sleep 3.125", deadline=90))
    while "sleep\0003.125" not in (shown := titles()):
        assert not running.done()
        await asyncio.sleep(0.05)
    assert "quokka" not in shown
    await running


async def test_a_deadline_ends_everything_here_and_soon_there(host: Runner):
    began = time.monotonic()
    with pytest.raises(TookTooLong, match="longer than 1 s"):
        await host.run("sleep 37.25", deadline=1)
    assert time.monotonic() - began < 4
    assert (await host.run("echo on", deadline=90)).out == "on\n"


async def test_a_cancelled_call_leaves_no_process_here(host: Runner):
    running = asyncio.create_task(host.run("sleep 38.5", deadline=60))
    await asyncio.sleep(0.7)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await host.run("echo on", deadline=90)).out == "on\n"


async def test_a_flood_is_stopped(host: Runner):
    with pytest.raises(AbsurdAnswer, match="longer than 32 MiB"):
        await host.run("yes", deadline=60)
    assert (await host.run("echo on", deadline=90)).out == "on\n"


async def test_twenty_commands_at_once(host: Runner):
    answers = await asyncio.gather(*(host.run(f"sleep 0.05; echo {n}", deadline=60) for n in range(20)))
    assert [response.out for response in answers] == [f"{n}\n" for n in range(20)]


async def test_what_detaches_outlives_the_call(host: Runner, tmp_path: Path):
    await host.run(f"setsid sh -c 'sleep 0.5; echo on > {tmp_path}/late' </dev/null >/dev/null 2>&1 &", deadline=90)
    await asyncio.sleep(1)
    assert (tmp_path / "late").read_text() == "on\n"


async def test_a_verb_is_answered(host: Runner):
    response = await host.request(RemoteRequest("hello"), deadline=90)
    assert (response.exit_code, response.out) == (0, "mqi-hello\n")
    response = await host.request(RemoteRequest("reboot"), deadline=90)
    assert (response.exit_code, response.out) == (1, "mqi-trouble bad-verb reboot\n")


async def test_lines_are_heard_as_they_come_if_they_bear_the_mark(host: Runner):
    received: list[tuple[str, float]] = []
    began = time.monotonic()
    text = 'echo "one $mark"; echo "two none"; sleep 1; echo "three $mark"; sleep 1'
    response = await host.run(text, deadline=20, on_line=lambda line: received.append((line, time.monotonic() - began)))
    assert [line.split()[0] for line, _ in received] == ["one", "three"]
    assert received[0][1] < received[1][1] - 0.7 < time.monotonic() - began - 1.4
    assert response.out.split()[::2] == ["one", "two", "three"]


async def test_an_upload_is_equal_private_and_repeatable(host: Runner, folders: Folders):
    for _ in range(2):
        await host.send(folders.source, folders.root, KEY, deadline=60)
        assert content(folders.staging) == content(folders.source)
    assert not [path for path in folders.staging.rglob("*") if path.stat().st_mode & 0o077]


async def test_an_upload_removes_strangers_and_mends_what_differs(host: Runner, folders: Folders):
    await host.send(folders.source, folders.root, KEY, deadline=60)
    target = folders.staging
    (target / ".common.Ab12Cd").write_text("left by a killed receiver")
    (target / "stranger").mkdir()
    (target / "stranger" / "x").write_text("x")
    (target / "common").write_text("other")
    await host.send(folders.source, folders.root, KEY, deadline=60)
    assert content(target) == content(folders.source)
    assert not (target / "stranger").exists()


async def test_a_second_receiver_is_kept_out(host: Runner, folders: Folders):
    with folders.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Transient, match="another upload is still writing") as caught:
            await host.send(folders.source, folders.root, KEY, deadline=60)
        assert not isinstance(caught.value, Unreachable)
    assert not folders.staging.exists()
    await host.send(folders.source, folders.root, KEY, deadline=60)
    assert content(folders.staging) == content(folders.source)


async def test_an_upload_makes_no_workspace(host: Runner, folders: Folders):
    gone = folders.there / "not mounted"
    with pytest.raises(RemoteUnfit, match="workspace"):
        await host.send(folders.source, str(gone), KEY, deadline=60)
    assert not gone.exists()


async def test_links_are_not_sent(host: Runner, folders: Folders):
    (folders.source / "link").symlink_to("/etc/hostname")
    await host.send(folders.source, folders.root, KEY, deadline=60)
    assert "link" not in content(folders.staging)


async def test_named_files_come_home(host: Runner, folders: Folders):
    names = ("beam-1/spots and $x.csv", "common")
    await host.fetch(folders.root, TOKEN, folders.back, names=names, largest=1 << 30, deadline=60)
    assert content(folders.back) == content(folders.source)
    (folders.run / "more").write_text("unasked")
    await host.fetch(folders.root, TOKEN, folders.back / "new", names=("common",), largest=1 << 30, deadline=60)
    assert list(content(folders.back / "new")) == ["common"]


async def test_a_file_that_only_looks_the_same_is_mended(host: Runner, folders: Folders):
    await host.fetch(folders.root, TOKEN, folders.back, names=("common",), largest=1 << 30, deadline=60)
    copy, times = folders.back / "common", (folders.run / "common").stat()
    copy.write_bytes(b"\x01" * times.st_size)
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    await host.fetch(folders.root, TOKEN, folders.back, names=("common",), largest=1 << 30, deadline=60)
    assert content(folders.back)["common"] == content(folders.source)["common"]


async def test_a_file_that_is_not_there_is_said_so(host: Runner, folders: Folders):
    with pytest.raises(Transient, match="does not exist"):
        await host.fetch(folders.root, TOKEN, folders.back, names=("common", "no such"), largest=1 << 30, deadline=60)


async def test_a_file_larger_than_it_may_be_stays_there(host: Runner, folders: Folders):
    names = ("beam-1/spots and $x.csv", "common")
    await host.fetch(folders.root, TOKEN, folders.back, names=names, largest=9_999, deadline=60)
    assert list(content(folders.back)) == ["beam-1/spots and $x.csv"]
    await host.fetch(folders.root, TOKEN, folders.back, names=names, largest=10_000, deadline=60)
    assert content(folders.back) == content(folders.source)


async def test_a_file_that_grows_on_its_way_does_not_fill_the_disk_here(host: Runner, folders: Folders, monkeypatch):
    def unasked(*args: Any) -> tuple[str, ...]:
        return tuple(word for word in fetch_command(*args) if not word.startswith("--max-size"))

    monkeypatch.setattr("mqi_communicator.remote.ssh.fetch_command", unasked)
    monkeypatch.setattr("mqi_communicator.remote.local.fetch_command", unasked)
    with pytest.raises(AbsurdAnswer, match="larger than announced: more than 4096 bytes"):
        await host.fetch(folders.root, TOKEN, folders.back, names=("common",), largest=4096, deadline=60)
    assert sum(len(data) for data in content(folders.back).values()) <= 4096


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", ""])
async def test_a_name_that_leads_elsewhere_is_refused(host: Runner, folders: Folders, name: str):
    with pytest.raises(ValueError, match="inside the folder"):
        await host.fetch(folders.root, TOKEN, folders.back, names=(name,), largest=1 << 30, deadline=60)


async def test_closing_ends_what_runs_and_may_be_repeated(host: Runner):
    running = asyncio.create_task(host.run("sleep 39.75", deadline=60))
    await asyncio.sleep(0.7)
    await host.close()
    with pytest.raises(Unreachable):
        await running
    await host.close()


async def test_closing_ends_what_has_just_begun(host: Runner, tmp_path: Path):
    """Its connection or its process is not there yet. A cancellation would end the tasks that wait for the answer."""
    running = [asyncio.create_task(host.run(f"sleep 39.25; echo >'{tmp_path}/made'", deadline=60)) for _ in range(2)]
    await asyncio.sleep(0)
    await host.close()
    ends = await asyncio.gather(*running, return_exceptions=True)
    assert [type(end) for end in ends] == [Unreachable] * 2
    assert not (tmp_path / "made").exists()
