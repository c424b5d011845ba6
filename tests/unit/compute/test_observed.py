"""What may be concluded from a response, and what may not."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.case.faults import ActionRequired, DiskFull, Fault, Permanent, RemoteUnfit, Transient
from mqi_communicator.case.request import GpuInUse, InputGone, RemoteResponse, Stopped
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import GpuHold, Job, spec_of
from mqi_communicator.compute.observed import END, read_early_line, read_observations
from mqi_communicator.compute.scheduler import JobState

pytestmark = pytest.mark.pure

TOKEN = "abcd-b1-r1"
BEGAN = "1700000000,12,34,6e1ba97c-768f,gpu-1.site,none"


def line(kind: str, life: str, ended: str = "none", *, products: str = "", log: str = "", token: str = TOKEN) -> str:
    packed, text = (base64.b64encode(each.encode()).decode() for each in (products, log))
    return f"mqi-job {token} {kind} {life} {BEGAN} {ended} products={packed} log={text} mqi-12\n"


def state(*lines: str, exit_code: int = 0) -> JobState:
    return read_observations((TOKEN,), RemoteResponse(exit_code, "".join(lines) + END + "\n"))[TOKEN].state


@pytest.mark.parametrize(
    ("kind", "life", "ended", "expected"),
    [
        ("none", "none", "none", JobState.ABSENT),
        ("barred", "none", "none", JobState.BARRED),
        ("foreign", "none", "none", JobState.UNKNOWN),
        ("stray", "none", "none", JobState.UNKNOWN),
        ("job", "alive", "none", JobState.RUNNING),
        ("job", "dead", "none", JobState.LOST),
        ("job", "rebooted", "none", JobState.LOST),
        ("job", "elsewhere", "none", JobState.UNKNOWN),
        ("job", "unknown", "none", JobState.UNKNOWN),
        ("job", "anything", "none", JobState.UNKNOWN),
        ("job", "dead", "0,1700000005", JobState.ENDED),
        ("job", "alive", "0,1700000005", JobState.ENDED),
        ("job", "rebooted", "137,1700000005", JobState.ENDED),
        ("job", "dead", "garbled", JobState.UNKNOWN),
        ("job", "dead", "0", JobState.UNKNOWN),
        ("else", "dead", "0,1", JobState.UNKNOWN),
    ],
)
def test_each_word_has_one_meaning(kind: str, life: str, ended: str, expected: JobState):
    assert state(line(kind, life, ended)) is expected


def test_an_end_is_told_whole():
    products = f"{'a' * 64} 12 ./out/do se.raw\n{'b' * 64} 0 ./x\ngarbage\n{'c' * 63} 1 ./y\n"
    text = line("job", "dead", "124,1700000009", products=products, log="last\x00 w\ufffdrds") + END + "\n"
    status = read_observations((TOKEN,), RemoteResponse(0, text))[TOKEN]
    assert (status.exit_code, status.started, status.ended) == (124, 1.7e9, 1.7e9 + 9)
    assert status.log_tail == "last\x00 w\ufffdrds"
    assert status.products == {"out/do se.raw": (12, "a" * 64), "x": (0, "b" * 64)}


def test_a_job_that_runs_has_no_products_yet():
    text = line("job", "alive", products=f"{'a' * 64} 12 ./x\n") + END + "\n"
    assert read_observations((TOKEN,), RemoteResponse(0, text))[TOKEN].products is None


DEAD = line("job", "dead")


@pytest.mark.parametrize(
    "response",
    [
        "",
        DEAD,
        DEAD[:-20] + f"\n{END}\n",
        DEAD + DEAD + END + "\n",
        DEAD.replace(TOKEN, "abcd-b1-r2"),
    ],
)
def test_half_an_answer_proves_nothing(response: str):
    assert read_observations((TOKEN,), RemoteResponse(0, response))[TOKEN].state is JobState.UNKNOWN


def test_a_failed_query_proves_nothing():
    assert state(DEAD, exit_code=1) is JobState.UNKNOWN


@given(st.text(), st.integers(0, 255))
def test_noise_proves_nothing(noise: str, exit_code: int):
    seen = read_observations((TOKEN,), RemoteResponse(exit_code, noise))
    assert {status.state for status in seen.values()} == {JobState.UNKNOWN}


@given(st.text())
def test_no_log_changes_the_state(log: str):
    assert state(line("job", "alive", log=log.encode("utf-8", "replace").decode())) is JobState.RUNNING


def test_a_job_that_ended_while_it_was_watched_is_told_twice_and_has_ended():
    running, ended = line("job", "alive"), line("job", "dead", "0,1700000005")
    assert state(running, ended) is JobState.ENDED
    assert state(ended, running) is JobState.UNKNOWN
    assert state(running, running, ended) is JobState.UNKNOWN


def test_an_early_line_tells_of_its_job():
    reported = read_early_line(line("job", "dead", "7,1700000005").rstrip("\n"))
    assert reported is not None
    assert (reported[0], reported[1].state, reported[1].exit_code) == (TOKEN, JobState.ENDED, 7)
    assert read_early_line("mqi-end") is None


@pytest.mark.parametrize(
    ("code", "out", "err", "kind"),
    [
        (1, "mqi-trouble no-workspace", "", RemoteUnfit),
        (1, "mqi-trouble no-input", "", InputGone),
        (1, "mqi-trouble stray", "", Permanent),
        (1, "mqi-trouble not-begun", "", Transient),
        (1, "mqi-trouble not-written", "sh: Permission denied", ActionRequired),
        (1, "mqi-trouble not-written", "printf: write error: No space left on device", DiskFull),
        (1, "mqi-trouble stopped", "", Stopped),
        (1, "mqi-trouble slurm-host", "", ActionRequired),
        (1, "mqi-trouble gpu-used GPU-1 900", "", GpuInUse),
        (1, "mqi-trouble of-a-new-kind", "", Transient),
        (0, "", "", Transient),
        (137, "", "", Transient),
    ],
)
def test_a_submit_that_failed_says_why(code: int, out: str, err: str, kind: type[Fault]):
    with pytest.raises(Fault) as caught:
        DirectScheduler("/w").read_submit(RemoteResponse(code, f"{out}\n", err))
    assert type(caught.value) is kind


def order(*programs: Program, token: str = TOKEN, gpus: GpuHold | None = None) -> list[str]:
    return spec_of(Job(token, Work(programs, (), 1.2), gpus), "/w/", kill_grace_s=0.3).decode().splitlines()


def test_an_order_is_lines_of_words():
    engine = Program("engine", ("/opt/x y", "a;b"), env=(("A", "~/x"),), outputs=("out",), limit_s=5)
    assert order(engine, gpus=GpuHold(("GPU-1", "3"), need_mib=10, foreign_mib=2)) == [
        f"token\t{TOKEN}", "root\t/w", "limit\t2", "grace\t1", "gpu\tGPU-1", "gpu\t3", "gpu-look\t10\t2",
        "program\tengine\t5\t1\tA=~/x\t/opt/x y\ta;b", "output\tout", "end",
    ]  # fmt: skip


SPOILS: dict[str, Callable[[], object]] = {
    "root": lambda: DirectScheduler("relative"),
    "slash": lambda: DirectScheduler("/"),
    "token": lambda: order(token="x"),
    "equals": lambda: order(Program("engine", ("/a=b/engine",))),
    "gpu": lambda: order(gpus=GpuHold(("0; rm",))),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_could_not_be_read_back_is_refused(spoil: str):
    with pytest.raises(ValueError, match=r"path|token|GPU"):
        SPOILS[spoil]()
