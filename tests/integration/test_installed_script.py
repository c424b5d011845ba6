"""The script as an administrator installs it: our key may start it and nothing else, and it does what it must."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mqi_communicator.case.faults import ActionRequired, RemoteUnfit
from mqi_communicator.case.request import RemoteRequest
from mqi_communicator.case.work import Need, Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote import requirements, workspace
from mqi_communicator.remote.rsync import Transport, fetch_command
from mqi_communicator.remote.ssh import SshHost
from mqi_communicator.remote.verbs import edition, library

pytestmark = pytest.mark.real

KEY = "installed234"
TOKEN = f"{KEY}-b1-r1"


@dataclass
class Site:
    private: PrivateHost
    host: SshHost
    root: Path
    scheduler: DirectScheduler

    async def send(self, source: Path) -> None:
        (source / "common").mkdir(parents=True)
        (source / "common" / "x").write_bytes(b"input")
        sums = workspace.sums_text({"common/x": hashlib.sha256(b"input").hexdigest()})
        (source / workspace.SUMS).write_bytes(sums)
        root = str(self.root)
        workspace.read_workspace(await self.host.request(workspace.workspace(root), deadline=90))
        await self.host.send(source, root, KEY, deadline=90)
        settle = workspace.settle(root, KEY, hashlib.sha256(sums).hexdigest())
        workspace.read_settle(await self.host.request(settle, deadline=90))

    async def run(self, *argv: str):
        return await self.run_work(Work((Program("engine", argv),), ("made",), 30))

    async def run_work(self, work: Work):
        response = await self.host.request(self.scheduler.submit(Job(TOKEN, work)), deadline=90)
        self.scheduler.read_submit(response)
        while True:
            response = await self.host.request(self.scheduler.poll((TOKEN,), 2), deadline=90)
            status = self.scheduler.read_poll((TOKEN,), response)[TOKEN]
            if status.state is not JobState.RUNNING:
                return status
            await asyncio.sleep(0.1)

    def ssh(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What somebody may try who has stolen the key."""
        options = self.private.options()
        argv = (
            "ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={options.known_hosts_file}",
            "-i", str(options.identity_file), "-p", str(options.port), "-l", str(options.user), "127.0.0.1",
        )  # fmt: skip
        return subprocess.run((*argv, *words), capture_output=True, text=True, timeout=30, check=False, input="")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    script, root = tmp_path / "mqi-host", tmp_path / "work"
    script.write_text(library())
    script.chmod(0o755)
    engine = tmp_path / "engine.sh"
    engine.write_text("#!/bin/sh\ncat ../../input/common/x >made; echo computed\n")
    engine.chmod(0o755)
    forced = f"{script} --only {root} --program {engine}"
    with PrivateHost(tmp_path / "host", forced=forced) as private:
        host = SshHost(private.options(script="installed"))
        yield Site(private, host, root, DirectScheduler(str(root), DirectOptions(kill_grace_s=1)))
        await host.close()


async def test_a_case_goes_there_and_back(site: Site, tmp_path: Path):
    await site.send(tmp_path / "source")
    status = await site.run(str(tmp_path / "engine.sh"))
    assert (status.state, status.exit_code) == (JobState.ENDED, 0)
    assert status.log_tail == "mqi-program engine\ncomputed\n"
    await site.host.fetch(str(site.root), TOKEN, tmp_path / "back", names=("made", "log"), largest=1 << 30, deadline=90)
    assert (tmp_path / "back" / "made").read_bytes() == b"input"
    workspace.read_removed(await site.host.request(workspace.remove(str(site.root), KEY), deadline=90))
    assert not list((site.root / "cases").iterdir())


async def test_a_transfer_may_have_a_pace_of_its_own(site: Site, tmp_path: Path):
    site.host = SshHost(site.private.options(script="installed", bandwidth_kib_s=50_000))
    await site.send(tmp_path / "source")
    await site.run(str(tmp_path / "engine.sh"))
    await site.host.fetch(str(site.root), TOKEN, tmp_path / "back", names=("made",), largest=1 << 30, deadline=90)
    await site.host.close()
    assert (tmp_path / "back" / "made").read_bytes() == b"input"


async def test_another_workspace_than_the_named_one_is_told_in_words(site: Site, tmp_path: Path):
    with pytest.raises(RemoteUnfit, match="another workspace"):
        workspace.read_workspace(await site.host.request(workspace.workspace(str(tmp_path / "other")), deadline=90))
    (tmp_path / "source").mkdir()
    with pytest.raises(RemoteUnfit, match="refused a transfer"):
        await site.host.send(tmp_path / "source", str(tmp_path / "other"), KEY, deadline=90)


async def test_a_script_of_another_version_is_refused_by_name(site: Site, tmp_path: Path):
    installed = tmp_path / "mqi-host"
    installed.write_text(library().replace(f"MQI_EDITION={edition()}", "MQI_EDITION=older"))
    with pytest.raises(RemoteUnfit, match="another version of MQI Communicator"):
        await site.host.request(RemoteRequest("hello"), deadline=90)


async def test_only_the_named_programs_are_run(site: Site, tmp_path: Path):
    await site.send(tmp_path / "source")
    status = await site.run("/bin/sh", "-c", f"touch {tmp_path}/owned")
    assert status.exit_code == 126
    assert "mqi-refused /bin/sh" in status.log_tail
    assert not (tmp_path / "owned").exists()


async def test_only_the_named_variables_are_set(site: Site, tmp_path: Path):
    await site.send(tmp_path / "source")
    work = Work((Program("engine", (str(tmp_path / "engine.sh"),), env=(("LD_PRELOAD", "/x.so"),)),), (), 30)
    status = await site.run_work(work)
    assert status.exit_code == 126
    assert "mqi-refused the variable LD_PRELOAD" in status.log_tail


async def test_what_does_nothing_may_run(site: Site, tmp_path: Path):
    await site.send(tmp_path / "source")
    status = await site.run_work(Work((Program("check", ("true",)),), (), 30))
    assert (status.state, status.exit_code) == (JobState.ENDED, 0)


async def test_a_check_starts_the_named_programs_alone(site: Site, tmp_path: Path):
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
    trap.chmod(0o755)
    starts = [Need("starts", str(path), "", arguments=("x",)) for path in (tmp_path / "engine.sh", trap)]
    good, bad = requirements.read_needs(starts, await site.host.request(requirements.needs(starts), deadline=90))
    assert good[0], good
    assert (bad[0], "--program" in bad[2]) == (False, True)
    assert not (tmp_path / "owned").exists()


async def test_an_order_cannot_name_programs_itself(site: Site, tmp_path: Path):
    await site.send(tmp_path / "source")
    call = site.scheduler.submit(Job(TOKEN, Work((Program("engine", ("/bin/true",)),), (), 30)))
    spoiled = call.stdin.replace(b"program\t", b"only\t/bin/true\nvariable\tLD_PRELOAD\nprogram\t")
    assert spoiled != call.stdin
    response = await site.host.request(RemoteRequest(call.verb, call.arguments, spoiled), deadline=90)
    with pytest.raises(ActionRequired, match="rejected the job's specification: line 5"):
        site.scheduler.read_submit(response)
    assert not (site.root / "cases" / KEY / "runs" / TOKEN).exists()


@pytest.mark.parametrize(
    "words",
    [
        ("touch {owned}",),
        ("mqi-host mqi-1 9 hello; touch {owned}",),
        ("mqi-host mqi-1 9 $(touch {owned})",),
        ("mqi-host --serve mqi-1 9 hello",),
        ("mqi-host --job {owned}",),
        ("mqi-host mqi-1 9 workspace {owned}",),
        ("mqi-host mqi-1 9 remove / etc",),
        ("mqi-host receive {owned} key --server -rt . x",),
        ("rsync --server -rt . {owned}",),
        ("mqi-host mqi-1 x hello",),
        ("mqi-host mqi-1 9 main",),
        ("sftp",),
        (),
    ],
)
async def test_nothing_else_can_be_done_with_the_key(site: Site, tmp_path: Path, words: tuple[str, ...]):
    owned = tmp_path / "owned"
    output = await asyncio.to_thread(site.ssh, *(word.format(owned=owned) for word in words))
    assert not owned.exists()
    assert "mqi-hello" not in output.stdout
    assert output.returncode != 0 or "mqi-trouble" in output.stdout


@pytest.mark.parametrize(
    "option", ["--log-file={owned}", "--rsync-path=x", "--temp-dir=/tmp", "--write-batch={owned}", "-e./x;touch"]
)
async def test_rsync_takes_only_the_words_that_transfers_need(site: Site, tmp_path: Path, option: str):
    await site.send(tmp_path / "source")
    word = option.format(owned=tmp_path / "owned")
    output = await asyncio.to_thread(
        site.ssh,
        f"mqi-host provide {site.root} {TOKEN} --server --sender -tprIRe.iLsfxCIvu --timeout=60 --files-from=- --from0 "
        f"{word} . /etc/passwd",
    )
    assert output.returncode != 0
    assert "mqi-refused" in output.stderr
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["x", "../../../../../secret/x", "{secret}/x", "./../../../../../secret/x"])
async def test_the_far_end_does_not_believe_a_path(site: Site, tmp_path: Path, name: str):
    """Neither the folder that is asked for nor a name leads out of the run: a file of its own comes, or nothing."""
    workspace.read_workspace(await site.host.request(workspace.workspace(str(site.root)), deadline=90))
    secret, back, run = tmp_path / "secret", tmp_path / "stolen", site.root / "cases" / KEY / "runs" / TOKEN
    for folder, text in ((secret, "secret"), (run, "own")):
        folder.mkdir(parents=True)
        (folder / "x").write_text(text)
    options = site.private.options()
    client = (
        "ssh", "-F", "/dev/null", "-o", f"UserKnownHostsFile={options.known_hosts_file}", "-p", str(options.port),
        "-i", str(options.identity_file),
    )  # fmt: skip
    words = fetch_command(str(site.root), TOKEN, back, Transport(client, installed=True), 1 << 30)
    argv = (*words[:-2], f"127.0.0.1:{secret}/", words[-1])
    names = name.format(secret=secret).encode() + b"\0"
    await asyncio.to_thread(subprocess.run, argv, input=names, capture_output=True, timeout=30, check=False)
    found = [path.read_text() for path in back.rglob("*") if path.is_file()] if back.exists() else []
    assert found == (["own"] if name == "x" else [])


async def test_a_link_in_an_upload_is_replaced_and_not_followed(site: Site, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    workspace.read_workspace(await site.host.request(workspace.workspace(str(site.root)), deadline=90))
    upload = site.root / "staging" / KEY
    upload.mkdir()
    for name in ("common", ".rsync-partial", workspace.SUMS):
        (upload / name).symlink_to(outside if name != workspace.SUMS else outside / "owned")
    await site.send(tmp_path / "source")
    assert list(outside.iterdir()) == []
    assert (site.root / "cases" / KEY / "input" / "common" / "x").read_bytes() == b"input"


def test_the_script_is_clean():
    if shutil.which("shellcheck") is None:
        pytest.fail("shellcheck is not here; ./test.sh installs it")
    argv = ("shellcheck", "-s", "dash", "-S", "warning", "-e", "SC2088", "-")
    done = subprocess.run(argv, input=library(), capture_output=True, text=True, check=False)
    assert done.stdout == ""
