"""What an observer may conclude from an answer, and what it may not."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.case.faults import DiskFull, Fault, NeedsPerson, Permanent, RemoteUnfit, Transient
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import job_script
from mqi_communicator.compute.observed import END, read_observations
from mqi_communicator.compute.scheduler import Job, JobState

pytestmark = pytest.mark.pure

TOKEN = "abcd-b1-r1"
BEGAN = "1700000000,12,34,6e1ba97c-768f,gpu-1.site"


def line(kind: str, life: str, ended: str = "none", *, products: str = "", log: str = "", token: str = TOKEN) -> str:
    packed, text = (base64.b64encode(each.encode()).decode() for each in (products, log))
    return f"mqi-job {token} {kind} {life} {BEGAN} {ended} products={packed} log={text}\n"


def state(*lines: str, exit_code: int = 0) -> JobState:
    return read_observations((TOKEN,), exit_code, "".join(lines) + END + "\n")[TOKEN].state


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
    status = read_observations((TOKEN,), 0, text)[TOKEN]
    assert (status.exit_code, status.started, status.ended) == (124, 1.7e9, 1.7e9 + 9)
    assert status.log_tail == "last\x00 w\ufffdrds"
    assert status.products == {"out/do se.raw": (12, "a" * 64), "x": (0, "b" * 64)}


def test_a_job_that_runs_has_no_products_yet():
    text = line("job", "alive", products=f"{'a' * 64} 12 ./x\n") + END + "\n"
    assert read_observations((TOKEN,), 0, text)[TOKEN].products is None


DEAD = line("job", "dead")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        DEAD,
        DEAD[:-20] + f"\n{END}\n",
        DEAD + DEAD + END + "\n",
        f"{END}\n{DEAD}",
        DEAD.replace(TOKEN, "abcd-b1-r2"),
    ],
)
def test_half_an_answer_proves_nothing(answer: str):
    assert read_observations((TOKEN,), 0, answer)[TOKEN].state is JobState.UNKNOWN


def test_a_failed_query_proves_nothing():
    assert state(DEAD, exit_code=1) is JobState.UNKNOWN


@given(st.text(), st.integers(0, 255))
def test_noise_proves_nothing(noise: str, exit_code: int):
    seen = read_observations((TOKEN,), exit_code, noise)
    assert {status.state for status in seen.values()} == {JobState.UNKNOWN}


@given(st.text())
def test_no_log_changes_the_state(log: str):
    assert state(line("job", "alive", log=log.encode("utf-8", "replace").decode())) is JobState.RUNNING


@pytest.mark.parametrize(
    ("code", "err", "kind"),
    [
        (74, "", RemoteUnfit),
        (81, "", Permanent),
        (82, "", Permanent),
        (83, "", Transient),
        (84, "sh: Permission denied", NeedsPerson),
        (84, "printf: write error: No space left on device", DiskFull),
        (0, "", Transient),
        (137, "", Transient),
    ],
)
def test_a_submit_that_failed_says_why(code: int, err: str, kind: type[Fault]):
    with pytest.raises(Fault) as caught:
        DirectScheduler("/w").read_submit(code, "", err)
    assert type(caught.value) is kind


SPOILS: dict[str, Callable[[], object]] = {
    "root": lambda: DirectScheduler("relative"),
    "slash": lambda: DirectScheduler("/"),
    "other case": lambda: job_script(Job(TOKEN, "efgh", "true", (), 1), "/w", kill_grace=1),
    "product above": lambda: job_script(Job(TOKEN, "abcd", "true", ("../x",), 1), "/w", kill_grace=1),
    "product elsewhere": lambda: job_script(Job(TOKEN, "abcd", "true", ("/etc/x",), 1), "/w", kill_grace=1),
    "two lines": lambda: job_script(Job(TOKEN, "abcd", "true", ("a\nb",), 1), "/w", kill_grace=1),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_could_leave_the_workspace_is_refused(spoil: str):
    with pytest.raises(ValueError, match=r"path|another case"):
        SPOILS[spoil]()
