"""Every scheduler keeps these promises, on a real host with real processes."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.processes import kill

from mqi_communicator.case.model import new_key
from mqi_communicator.case.request import InputGone, Stopped
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import JobState, JobStatus, Scheduler
from mqi_communicator.remote.host import Host
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.workspace import SUMS, sums_text, workspace

pytestmark = pytest.mark.real


class Now:
    """The case of the current test. It is unique, because it identifies the jobs of the test."""

    case = new_key()


@pytest.fixture(autouse=True)
def another_case():
    Now.case = new_key()


SECONDS = 180.0


@dataclass
class Bench:
    """A scheduler, its host, and the workspace as seen by this test."""

    scheduler: Scheduler
    host: Host
    root: Path

    def run_folder(self, token: str) -> Path:
        return self.root / "cases" / Now.case / "runs" / token

    async def submit(self, job: Job) -> str:
        return self.scheduler.read_submit(await self.host.request(self.scheduler.submit(job), deadline=SECONDS))

    async def poll(self, *tokens: str) -> Mapping[str, JobStatus]:
        return self.scheduler.read_poll(tokens, await self.host.request(self.scheduler.poll(tokens), deadline=SECONDS))

    async def cancel(self, *tokens: str) -> None:
        self.scheduler.read_cancel(await self.host.request(self.scheduler.cancel(tokens), deadline=SECONDS))

    def send(self, name: str, data: bytes) -> None:
        """Write a file to the case's input, as an upload would."""
        folder = self.root / "cases" / Now.case / "input"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
        digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        (folder / SUMS).write_bytes(sums_text(digests))

    async def until(self, token: str, *states: JobState) -> JobStatus:
        end = time.monotonic() + SECONDS
        while (status := (await self.poll(token))[token]).state not in states:
            assert time.monotonic() < end, status
            await asyncio.sleep(0.1)
        return status

    async def ended(self, token: str) -> JobStatus:
        return await self.until(token, JobState.ENDED, JobState.LOST)


def token(run: int = 1, beam: int = 1) -> str:
    return f"{Now.case}-b{beam}-r{run}"


def job(command: str, *, products: Sequence[str] = (), limit: float = 60, run: int = 1, beam: int = 1) -> Job:
    """A job of one program, which is a shell with this command."""
    return Job(token(run, beam), Work((Program("engine", ("sh", "-c", command)),), tuple(products), limit))


def direct(root: Path) -> Scheduler:
    return DirectScheduler(str(root), DirectOptions(kill_grace_s=1))


SCHEDULERS: dict[str, Callable[[Path], Scheduler]] = {"direct": direct}


@pytest.fixture(params=SCHEDULERS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    root = tmp_path / "work"
    host = LocalHost(LocalOptions())
    assert (await host.request(workspace(str(root)), deadline=SECONDS)).exit_code == 0
    made = Bench(SCHEDULERS[request.param](root), host, root)
    made.send("common/x", b"input")
    for beam in range(1, 31):
        made.send(f"beam-{beam}/x", b"")
    yield made
    kill(marked())
    await host.close()


def marked() -> list[int]:
    """The live processes of this test's jobs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"MQI_TOKEN={Now.case}".encode() in environment:
            found.append(int(folder.name))
    return found


async def nothing_lives() -> bool:
    for _ in range(50):
        if not marked():
            return True
        await asyncio.sleep(0.1)
    return False


async def test_a_job_runs_in_a_fresh_folder_and_says_how_it_ended(bench: Bench):
    made = "cat ../../input/common/x; mkdir out; printf dose > 'out/do se.raw'; umask; ulimit -c; exit 3"
    await bench.submit(job(made, products=("out/do se.raw", "missing")))
    status = await bench.ended(token())
    assert (status.state, status.exit_code) == (JobState.ENDED, 3)
    assert status.log_tail.split() == ["mqi-program", "engine", "input0077", "0"]
    assert status.products == {"out/do se.raw": (4, hashlib.sha256(b"dose").hexdigest())}
    assert status.started is not None
    assert status.ended is not None
    assert time.time() - 60 < status.started <= status.ended <= time.time() + 2
    assert (bench.run_folder(token()) / "job.sh").exists()
    made_there = [*bench.run_folder(token()).rglob("*"), *(bench.root / "gates").rglob("*")]
    assert len(made_there) > 6
    assert not [path for path in made_there if path.stat().st_mode & 0o077]
    assert await nothing_lives()


async def test_what_never_began_is_absent(bench: Bench):
    assert (await bench.poll(token()))[token()].state is JobState.ABSENT


async def test_a_missing_workspace_proves_nothing(bench: Bench):
    bench.root.rename(bench.root.with_name("gone"))
    assert (await bench.poll(token()))[token()].state is JobState.UNKNOWN


async def test_many_submits_at_once_start_one_job(bench: Bench, tmp_path: Path):
    mark = tmp_path / "count"
    one = job(f"echo >> {mark}; sleep 1")
    await asyncio.gather(*(bench.submit(one) for _ in range(6)))
    assert (await bench.ended(token())).exit_code == 0
    await bench.submit(one)
    await asyncio.sleep(0.5)
    assert mark.read_text() == "\n"
    left = [path.name for path in bench.run_folder(token()).parent.iterdir() if not path.name.endswith(".tried")]
    assert left == [token()]
    assert [path.name for path in (bench.root / "gates").iterdir()] == [token()]


async def test_a_job_past_its_limit_is_ended_with_all_it_started(bench: Bench):
    stubborn = "trap '' TERM; setsid sleep 300 & sh -c \"trap '' TERM; sleep 300; sleep 300\" & sleep 300; sleep 300"
    await bench.submit(job(stubborn, limit=1))
    status = await bench.ended(token())
    assert (status.state, status.exit_code) == (JobState.ENDED, 124)
    assert await nothing_lives()


async def test_what_a_job_leaves_running_ends_with_it(bench: Bench):
    await bench.submit(job("setsid sleep 300 & sleep 301 & exit 0"))
    assert (await bench.ended(token())).exit_code == 0
    assert await nothing_lives()


async def test_cancel_ends_children_that_left_the_group_and_the_session(bench: Bench):
    await bench.submit(job("setsid sleep 300 & setsid setsid sh -c 'trap \"\" TERM; sleep 300; sleep 300' & sleep 300"))
    await bench.until(token(), JobState.RUNNING)
    await asyncio.sleep(0.3)
    assert len(marked()) >= 5
    await bench.cancel(token())
    status = await bench.ended(token())
    assert status.exit_code != 0
    assert await nothing_lives()


async def test_a_cancelled_gate_lets_nobody_through(bench: Bench, tmp_path: Path):
    await bench.cancel(token())
    assert (await bench.poll(token()))[token()].state is JobState.BARRED
    await bench.submit(job(f"touch {tmp_path}/computed"))
    await bench.cancel(token())
    await asyncio.sleep(0.5)
    assert (await bench.poll(token()))[token()].state is JobState.BARRED
    assert not (tmp_path / "computed").exists()


async def test_input_that_changes_while_a_job_computes_from_it_is_no_result(bench: Bench):
    changed = bench.root / "cases" / Now.case / "input" / "common" / "x"
    await bench.submit(job(f"printf Y >{changed}"))
    status = await bench.ended(token())
    assert status.exit_code == 65
    assert "differs from what was sent" in status.log_tail


async def test_a_gate_taken_by_somebody_else_is_respected_and_unknown(bench: Bench, tmp_path: Path):
    (bench.root / "gates" / token()).mkdir()
    await bench.submit(job(f"touch {tmp_path}/computed"))
    await asyncio.sleep(0.3)
    assert (await bench.poll(token()))[token()].state is JobState.UNKNOWN
    assert not (tmp_path / "computed").exists()


async def test_cancel_of_an_ended_job_changes_nothing(bench: Bench):
    await bench.submit(job("exit 7"))
    before = await bench.ended(token())
    await bench.cancel(token())
    assert (await bench.poll(token()))[token()] == before


async def test_garbage_in_a_log_forges_nothing(bench: Bench):
    forged = f"mqi-job {token(2)} job alive 1,1,1,a,a,none 0,1 products= log= none\nmqi-end\n"
    bench.send("common/x", b"\xff\x00\x1b[2J" + forged.encode() + b"\r\xc3")
    await bench.submit(job("cat ../../input/common/x; exit 1"))
    assert (await bench.ended(token())).exit_code == 1
    seen = await bench.poll(token(2), token())
    assert seen[token(2)].state is JobState.ABSENT
    assert seen[token()].state is JobState.ENDED
    assert forged.splitlines()[0] in seen[token()].log_tail


async def test_of_a_long_log_the_beginning_and_the_end_are_brought(bench: Bench):
    await bench.submit(job("echo first; yes | head -c 1000000; echo; echo last"))
    shown = (await bench.ended(token())).log_tail
    head, _, tail = shown.partition("\nmqi-cut ")
    left_out, _, tail = tail.partition("\n")
    assert head.startswith("mqi-program engine\nfirst\ny\n")
    assert tail.endswith("y\n\nlast\n")
    whole = (bench.run_folder(token()) / "log").stat().st_size
    assert (len(head), len(tail), int(left_out)) == (4096, 4096, whole - 8192)


async def test_a_log_of_twice_the_share_is_brought_whole(bench: Bench):
    await bench.submit(job("yes | head -c 8173"))  # and the 19 bytes of its mark
    shown = (await bench.ended(token())).log_tail
    assert shown == "mqi-program engine\n" + "y\n" * 4086 + "y"


async def test_thirty_jobs_in_one_look(bench: Bench):
    tokens = [token(beam=beam) for beam in range(1, 31)]
    for beam in range(1, 4):
        await bench.submit(job(f"exit {beam}", beam=beam))
        await bench.ended(token(beam=beam))
    await bench.submit(job("sleep 300", beam=4))
    await bench.until(token(beam=4), JobState.RUNNING)
    await bench.cancel(*tokens[20:])
    seen = await bench.poll(*tokens)
    assert [seen[t].exit_code for t in tokens[:3]] == [1, 2, 3]
    assert [seen[t].state for t in tokens[3:]] == ([JobState.RUNNING] + [JobState.ABSENT] * 16 + [JobState.BARRED] * 10)


def works(*programs: Program, folders: Sequence[str] = (), shown: Sequence[str] = (), limit: float = 60) -> Job:
    return Job(token(), Work(programs, (), limit, tuple(folders), tuple(shown)))


async def test_words_reach_a_program_as_they_are(bench: Bench):
    words = ("it's", "$(touch y)", "* ~ `x`", "\\n", '"', "-n", "#", "a=b", "é")
    await bench.submit(works(Program("engine", ("printf", "%s|", *words), env=(("X", "$HOME * 'q'"),))))
    assert (await bench.ended(token())).log_tail == "mqi-program engine\n" + "|".join(words) + "|"
    assert not (bench.run_folder(token()) / "y").exists()


async def test_programs_follow_one_another_each_with_its_own_environment(bench: Bench):
    first = Program("before", ("sh", "-c", "echo $A ${B-none} > Out/put"), env=(("A", "a b"),), outputs=("Out/put",))
    second = Program("engine", ("sh", "-c", "cat Out/put; echo ${A-none} $B"), env=(("B", "~/b"),))
    await bench.submit(works(first, second, folders=("Out",), shown=("../../input/common/x",)))
    status = await bench.ended(token())
    assert status.exit_code == 0
    assert status.log_tail.splitlines() == [
        "mqi-program before", "mqi-program engine", "a b none", f"none {Path.home()}/b", "input",
    ]  # fmt: skip


async def test_the_first_program_that_fails_ends_the_job(bench: Bench):
    await bench.submit(works(Program("before", ("sh", "-c", "exit 9")), Program("engine", ("echo", "computed"))))
    status = await bench.ended(token())
    assert status.exit_code == 9
    assert "computed" not in status.log_tail


async def test_an_output_that_was_promised_and_is_not_there_ends_the_job(bench: Bench):
    empty = Program("before", ("touch", "empty"), outputs=("empty",))
    await bench.submit(works(empty, Program("engine", ("echo", "computed"))))
    status = await bench.ended(token())
    assert status.exit_code == 66
    assert status.log_tail == "mqi-program before\nmqi-missing empty\n"


async def test_a_program_has_a_limit_of_its_own(bench: Bench):
    await bench.submit(works(Program("before", ("sleep", "60"), limit_s=1), Program("engine", ("echo", "computed"))))
    status = await bench.ended(token())
    assert status.exit_code == 124
    assert "computed" not in status.log_tail


async def test_a_program_that_is_not_there_fails_with_its_reason(bench: Bench):
    await bench.submit(works(Program("engine", ("/no/such program",))))
    status = await bench.ended(token())
    assert (status.state, status.exit_code) == (JobState.ENDED, 127)
    assert "/no/such program" in status.log_tail


async def test_a_job_computes_only_from_what_was_sent(bench: Bench, tmp_path: Path):
    (bench.root / "cases" / Now.case / "input" / "common" / "x").write_text("Input")
    await bench.submit(job(f"touch {tmp_path}/computed"))
    status = await bench.ended(token())
    assert status.exit_code == 65
    assert "differs from what was sent" in status.log_tail
    assert not (tmp_path / "computed").exists()


async def test_another_beams_input_is_no_concern_of_this_job(bench: Bench):
    (bench.root / "cases" / Now.case / "input" / "beam-2" / "x").write_text("changed")
    await bench.submit(job("exit 0"))
    assert (await bench.ended(token())).exit_code == 0


async def test_a_stop_file_lets_nothing_new_begin(bench: Bench, tmp_path: Path):
    (bench.root / "STOP").touch()
    with pytest.raises(Stopped, match="STOP"):
        await bench.submit(job(f"touch {tmp_path}/computed"))
    assert (await bench.poll(token()))[token()].state is JobState.ABSENT
    (bench.root / "STOP").unlink()
    await bench.submit(job("exit 0"))
    assert (await bench.ended(token())).exit_code == 0


async def test_without_its_input_a_job_does_not_begin(bench: Bench):
    shutil.rmtree(bench.root / "cases" / Now.case)
    with pytest.raises(InputGone):
        await bench.submit(job("exit 0"))
    assert (await bench.poll(token()))[token()].state is JobState.ABSENT


async def test_names_that_came_from_elsewhere_are_refused(bench: Bench):
    for bad in ("../x", "a b", "$(touch x)", "", "x-b1-r1;ls", f"{token()}\n"):
        with pytest.raises(ValueError, match="token"):
            bench.scheduler.poll((bad,))
        with pytest.raises(ValueError, match="token"):
            bench.scheduler.submit(replace(job("true"), token=bad))
        with pytest.raises(ValueError, match="token"):
            bench.scheduler.cancel((bad,))
    assert await nothing_lives()


BIG = 3_000_000


async def test_what_a_failed_job_wrote_is_gone_and_what_tells_why_stays(bench: Bench):
    made = f"mkdir out; head -c {BIG} /dev/zero >out/filler; echo why; echo small >note; exit 3"
    await bench.submit(job(made))
    assert (await bench.ended(token())).exit_code == 3
    folder = bench.run_folder(token())
    assert not (folder / "out/filler").exists()
    assert (folder / "note").read_text() == "small\n"
    assert b"why" in (folder / "log").read_bytes()


async def test_what_a_job_that_succeeded_wrote_stays(bench: Bench):
    await bench.submit(job(f"head -c {BIG} /dev/zero >dose", products=("dose",)))
    assert (await bench.ended(token())).exit_code == 0
    assert (bench.run_folder(token()) / "dose").stat().st_size == BIG


async def test_a_log_without_end_keeps_its_end(bench: Bench):
    await bench.submit(job("yes | head -c 20000000; echo; echo the last word; exit 3"))
    assert (await bench.ended(token())).exit_code == 3
    log = (bench.run_folder(token()) / "log").read_bytes()
    assert len(log) < 100_000
    assert b"the last word" in log


async def test_what_a_killed_job_wrote_is_gone_when_the_next_run_begins(bench: Bench):
    await bench.submit(job(f"head -c {BIG} /dev/zero >filler; sleep 600"))
    filler = bench.run_folder(token()) / "filler"
    end = time.monotonic() + SECONDS
    while not (filler.exists() and filler.stat().st_size == BIG):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
    kill(marked())
    await bench.ended(token())
    await bench.submit(job("true", run=2))
    assert (await bench.ended(token(2))).exit_code == 0
    assert not filler.exists()
