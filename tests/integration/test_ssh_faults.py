"""What networks, keys, disks and administrators do to an SSH host, against a real sshd."""
# ruff: noqa: ASYNC110, ASYNC221, ASYNC240 - a test may wait for a file or a small program

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.faultproxy import FaultProxy, Mode
from tests.processes import kill

from mqi_communicator.case.faults import (
    ActionRequired,
    DiskFull,
    HostKeyProblem,
    KeyRejected,
    RemoteUnfit,
    TookTooLong,
    Transient,
    Unreachable,
)
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.remote.ssh import SshHost

pytestmark = pytest.mark.real

BIG = 24 << 20  # bytes
KEY = "sshfaults234"
TOKEN = f"{KEY}-b1-r1"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("a host")) as host:
        yield host


@asynccontextmanager
async def reached(options: SshOptions) -> AsyncIterator[SshHost]:
    host = SshHost(options)
    try:
        yield host
    finally:
        await host.close()


@asynccontextmanager
async def proxied(private: PrivateHost, **changes: object) -> AsyncIterator[tuple[FaultProxy, SshHost]]:
    async with FaultProxy(private.port) as proxy:
        alias = private.folder / f"known-{proxy.port}"
        alias.write_text((private.folder / "known_hosts").read_text().replace(f":{private.port} ", f":{proxy.port} "))
        quick = {"connect_timeout_s": 2, "alive_interval_s": 1, "alive_count": 2}
        options = private.options(port=proxy.port, known_hosts_file=alias, **(quick | changes))
        async with reached(options) as host:
            yield proxy, host


def masters(host: SshHost) -> list[int]:
    """The process ids of the connections of one host object."""
    assert host._folder is not None
    return [pid for pid, words in command_lines().items() if words[:1] == ["ssh"] and "-M" in words
            and any(word.startswith(str(host._folder)) for word in words)]  # fmt: skip


def command_lines() -> dict[int, list[str]]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
    return found


async def send_when_free(host: SshHost, source: Path, root: Path) -> None:
    """Send again once the receiver of the broken upload has noticed its end."""
    for _ in range(60):
        try:
            return await host.send(source, str(root), KEY, deadline=60)
        except Transient as fault:
            assert "still writing" in fault.reason  # noqa: PT017 - any other fault is a failure
            await asyncio.sleep(0.5)
    raise AssertionError("the lock was never free")


def upload(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A folder here with one big file, a workspace there, and the staging folder in it."""
    source, root = tmp_path / "source", tmp_path / "there"
    source.mkdir()
    (root / "staging").mkdir(parents=True)
    (source / "big").write_bytes(random.Random(1).randbytes(BIG))
    return source, root, root / "staging" / KEY


def run_of(root: Path, source: Path) -> None:
    """The run's folder there holds what `source` holds."""
    (root / "cases" / KEY / "runs").mkdir(parents=True)
    shutil.copytree(source, root / "cases" / KEY / "runs" / TOKEN)


async def test_a_cut_upload_goes_on_where_it_ended(private: PrivateHost, tmp_path: Path):
    source, root, target = upload(tmp_path)
    async with proxied(private) as (proxy, host):
        await host.run("true", deadline=90)
        proxy.cut_after = proxy.sent + BIG // 2
        with pytest.raises(Unreachable):
            await host.send(source, str(root), KEY, deadline=60)
        before = proxy.sent
        await send_when_free(host, source, root)
        assert proxy.sent - before < BIG * 0.75
    assert (target / "big").read_bytes() == (source / "big").read_bytes()
    assert [path.name for path in target.iterdir()] == ["big"]


async def test_a_cut_download_goes_on_where_it_ended(private: PrivateHost, tmp_path: Path):
    source, root, _ = upload(tmp_path)
    run_of(root, source)
    target = tmp_path / "back"
    async with proxied(private) as (proxy, host):
        proxy.rate = 20e6
        running = asyncio.create_task(
            host.fetch(str(root), TOKEN, target, names=("big",), largest=1 << 30, deadline=60)
        )
        await asyncio.sleep(1)
        proxy.reset_all()
        with pytest.raises(Unreachable):
            await running
        assert (target / ".rsync-partial" / "big").stat().st_size > 0
        proxy.rate = None
        await host.fetch(str(root), TOKEN, target, names=("big",), largest=1 << 30, deadline=60)
    assert (target / "big").read_bytes() == (source / "big").read_bytes()


async def test_a_flipped_bit_is_noticed(private: PrivateHost, tmp_path: Path):
    source, root, target = upload(tmp_path)
    async with proxied(private) as (proxy, host):
        proxy.flip_at = BIG // 2
        with pytest.raises(Unreachable):
            await host.send(source, str(root), KEY, deadline=60)
        await send_when_free(host, source, root)
    assert (target / "big").read_bytes() == (source / "big").read_bytes()


async def test_an_orphaned_receiver_keeps_the_next_one_out(private: PrivateHost, tmp_path: Path):
    source, root, _ = upload(tmp_path)
    async with proxied(private) as (proxy, host):
        proxy.rate = 4e6
        running = asyncio.create_task(host.send(source, str(root), KEY, deadline=60))
        await asyncio.sleep(1)
        proxy.mode = Mode.BLACKHOLE
        with pytest.raises(Unreachable):
            await running
        async with reached(private.options()) as other:
            with pytest.raises(Exception, match="another upload is still writing"):
                await other.send(source, str(root), KEY, deadline=90)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_black_hole_ends_within_the_deadline(private: PrivateHost, when: str):
    async with proxied(private) as (proxy, host):
        if when == "after":
            await host.run("true", deadline=90)
        proxy.mode = Mode.BLACKHOLE
        began = time.monotonic()
        with pytest.raises(TookTooLong):
            await host.run("echo on", deadline=1.5)
        assert time.monotonic() - began < 4
        proxy.mode = Mode.THROUGH
        assert (await host.run("echo on", deadline=90)).out == "on\n"


async def test_a_dead_line_is_noticed_before_a_long_deadline(private: PrivateHost):
    async with proxied(private) as (proxy, host):
        await host.run("true", deadline=90)
        running = asyncio.create_task(host.run("sleep 60", deadline=60))
        await asyncio.sleep(0.3)
        proxy.mode = Mode.BLACKHOLE
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            await running
        assert not isinstance(caught.value, TookTooLong)
        assert time.monotonic() - began < 6


async def test_a_reset_in_mid_command_proves_nothing(private: PrivateHost, tmp_path: Path):
    async with proxied(private) as (proxy, host):
        running = asyncio.create_task(host.run(f"echo x >> {tmp_path}/ran; sleep 3; exit 0", deadline=90))
        while not (tmp_path / "ran").exists():
            await asyncio.sleep(0.05)
        proxy.reset_all()
        with pytest.raises(Unreachable):
            await running
        assert (tmp_path / "ran").read_text() == "x\n"


async def test_a_refusing_host_says_so_at_once(private: PrivateHost):
    async with proxied(private) as (proxy, host):
        proxy.mode = Mode.REFUSE
        began = time.monotonic()
        with pytest.raises(Unreachable, match="was lost"):
            await host.run("true", deadline=90)
        assert time.monotonic() - began < 2


async def test_a_host_that_is_down(private: PrivateHost):
    async with reached(private.options(port=1, known_hosts_file=private.folder / "known_hosts")) as host:
        with pytest.raises(Unreachable, match="refuses connections"):
            await host.run("true", deadline=90)
        outcomes = await asyncio.gather(*(host.run("true", deadline=90) for _ in range(10)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unreachable}


async def test_another_login_node_answers_where_the_first_is_down(private: PrivateHost):
    async with reached(private.options(host="no-such-host.invalid", fallback=("127.0.0.1",))) as host:
        assert (await host.run("echo on", deadline=90)).out == "on\n"
    with pytest.raises(Unreachable):
        async with reached(private.options(host="no-such-host.invalid", fallback=("also.invalid",))) as host:
            await host.run("true", deadline=90)


async def test_transfers_go_through_the_host_that_is_named_for_them(private: PrivateHost, tmp_path: Path):
    source, root, target = upload(tmp_path)
    async with reached(private.options(host="no-such-host.invalid", transfer_host="127.0.0.1")) as host:
        await host.send(source, str(root), KEY, deadline=60)
        assert (target / "big").stat().st_size == BIG
        with pytest.raises(Unreachable):
            await host.run("true", deadline=90)


async def test_a_name_that_nobody_knows(private: PrivateHost):
    async with reached(private.options(host="no-such-host.invalid")) as host:
        with pytest.raises(Unreachable, match=r"cannot be resolved|does not answer"):
            await host.run("true", deadline=90)


async def test_a_key_that_is_not_let_in(private: PrivateHost, tmp_path: Path):
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")), check=True)
    async with reached(private.options(identity_file=tmp_path / "key")) as host:
        with pytest.raises(KeyRejected, match="rejected the SSH key") as caught:
            await host.run("true", deadline=90)
        with pytest.raises(KeyRejected):
            await host.send(tmp_path, "/tmp", KEY, deadline=90)
    assert "authorized_keys" in caught.value.advice


@pytest.mark.parametrize(("mode", "words"), [(0o644, "can be read by others: its mode is 0644"), (None, "missing")])
async def test_a_key_file_that_ssh_would_not_use(private: PrivateHost, tmp_path: Path, mode: int | None, words: str):
    key = tmp_path / "key"
    if mode is not None:
        shutil.copy(private.folder / "user", key)
        key.chmod(mode)
    async with reached(private.options(identity_file=key)) as host:
        with pytest.raises(KeyRejected, match=words):
            await host.run("true", deadline=90)


async def test_a_host_key_that_changed(private: PrivateHost, tmp_path: Path):
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")), check=True)
    key = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    (tmp_path / "known hosts").write_text(f"[127.0.0.1]:{private.port} {key}\n")
    async with reached(private.options(known_hosts_file=tmp_path / "known hosts")) as host:
        with pytest.raises(HostKeyProblem, match="host key mismatch"):
            await host.run("true", deadline=90)


@pytest.mark.parametrize("file", ["empty", "no such"])
async def test_a_host_key_that_is_not_known(private: PrivateHost, tmp_path: Path, file: str):
    (tmp_path / "empty").touch()
    async with reached(private.options(known_hosts_file=tmp_path / file)) as host:
        with pytest.raises(HostKeyProblem):
            await host.run("true", deadline=90)
    assert (tmp_path / "empty").read_text() == ""


async def test_a_host_without_rsync_or_flock(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    for program in ("sh", "timeout", "head", "cat", "true", "nice"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or "")
    source, root, _ = upload(tmp_path)
    with PrivateHost(tmp_path / "host", environment={"PATH": str(tmp_path / "bin")}) as private:
        async with reached(private.options()) as host:
            with pytest.raises(RemoteUnfit, match="no flock"):
                await host.send(source, str(root), KEY, deadline=90)
            (tmp_path / "bin" / "flock").symlink_to(shutil.which("flock") or "")
            with pytest.raises(RemoteUnfit, match="no rsync"):
                await host.send(source, str(root), KEY, deadline=90)
            with pytest.raises(RemoteUnfit, match="no rsync"):
                await host.fetch(str(root), TOKEN, tmp_path / "back", names=("big",), largest=1 << 30, deadline=90)


async def test_a_shell_that_talks(tmp_path: Path):
    with PrivateHost(tmp_path / "host") as private:
        (private.home / ".bashrc").write_text("echo Welcome to the cluster\n")
        async with reached(private.options()) as host:
            if "bash" not in (await login_shell()):
                pytest.skip("this account's login shell is not bash: it reads no .bashrc")
            with pytest.raises(RemoteUnfit, match="prints text: Welcome to the cluster"):
                await host.run("true", deadline=90)


async def login_shell() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_shell


async def test_a_full_disk_there(private: PrivateHost, tmp_path: Path):
    source, root, _ = upload(tmp_path)
    run_of(root, source)
    small = tmp_path / "small"
    small.mkdir()
    mounted = os.getuid() == 0 and subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)), check=False, capture_output=True
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("only root may mount a small file system")
    try:
        async with reached(private.options()) as host:
            (small / "staging").mkdir()
            with pytest.raises(DiskFull, match="no space left on private"):
                await host.send(source, str(small), KEY, deadline=90)
            with pytest.raises(DiskFull, match="no space left on this machine"):
                await host.fetch(str(root), TOKEN, small / "y", names=("big",), largest=1 << 30, deadline=90)
    finally:
        subprocess.run(("umount", str(small)), check=True)


async def test_the_next_command_works_after_the_connection_was_killed(private: PrivateHost):
    async with reached(private.options()) as host:
        for _ in range(3):
            assert (await host.run("echo on", deadline=90)).out == "on\n"
            kill(masters(host))
        kill(private.descendants())
        outcome = (await asyncio.gather(host.run("echo on", deadline=90), return_exceptions=True))[0]
        assert isinstance(outcome, Unreachable) or outcome.out == "on\n"  # type: ignore[union-attr]
        assert (await host.run("echo on", deadline=90)).out == "on\n"


async def test_few_sessions_are_waited_for_and_one_is_too_few(tmp_path: Path):
    with PrivateHost(tmp_path / "three", settings=["MaxSessions 3"]) as private:
        async with reached(private.options()) as host:
            answers = await asyncio.gather(*(host.run(f"echo {n}", deadline=90) for n in range(12)))
            assert [response.out for response in answers] == [f"{n}\n" for n in range(12)]
    with PrivateHost(tmp_path / "one", settings=["MaxSessions 1"]) as private:
        async with reached(private.options()) as host:
            with pytest.raises(ActionRequired, match="multiple sessions"):
                await host.run("true", deadline=90)


async def test_nothing_is_left_after_close(private: PrivateHost, tmp_path: Path):
    host = SshHost(private.options())
    await host.run("true", deadline=90)
    run_of(tmp_path, private.home)
    (tmp_path / "cases" / KEY / "runs" / TOKEN / "log").touch()
    await host.fetch(str(tmp_path), TOKEN, tmp_path / "back", names=("log",), largest=1 << 30, deadline=90)
    pids, folder = masters(host), host._folder
    assert len(pids) == 2
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    await host.close()
    assert not folder.exists()
    assert not set(pids) & set(command_lines())


_KILLED = """
import asyncio, os, sys, signal
from pathlib import Path
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.remote.ssh import SshHost
async def main():
    host = SshHost(SshOptions.model_validate_json(sys.argv[1]))
    await host.run("true", deadline=90)
    print(host._folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_nothing_is_left_after_kill_9(private: PrivateHost):
    words = (sys.executable, "-c", _KILLED, private.options().model_dump_json())
    folder = subprocess.run(words, check=False, capture_output=True, text=True).stdout.strip()
    assert folder
    for _ in range(50):
        left = [words for words in command_lines().values() if any(folder in word for word in words)]
        if not left and not list(Path(folder).iterdir()):
            break
        await asyncio.sleep(0.1)
    assert not left
    async with reached(private.options()) as host:
        await host.run("true", deadline=90)
    assert not Path(folder).exists()


async def test_the_private_host_stops_and_starts_again(tmp_path: Path):
    private = PrivateHost(tmp_path / "100% a b", environment={"FAKE": "a b"})
    with private:
        port = private.port
        async with reached(private.options()) as host:
            assert (await host.run('echo "$FAKE"', deadline=90)).out == "a b\n"
            pids = [private.pid, *private.descendants()]
            assert len(pids) > 1
            private.stop()
            await asyncio.sleep(0.2)
            assert not [pid for pid in pids if command_lines().get(pid, [""]) != [""]]
            with pytest.raises(Unreachable):
                await host.run("true", deadline=90)
            private.start()
            assert private.port == port
            assert (await host.run("echo on", deadline=90)).out == "on\n"
