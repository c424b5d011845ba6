"""Conclusions from recorded output of Slurm 22.05, and from incomplete replies."""

from __future__ import annotations

import base64

import pytest

from mqi_communicator.case.faults import ActionRequired, Unreachable
from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.scheduler import Cause, JobState, JobStatus
from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.compute.slurm_options import SlurmOptions

pytestmark = pytest.mark.pure

TOKEN = "abcd-b1-r1"
NOW = 1_700_001_000
BEGAN = 1_700_000_000
RECORD = f"{BEGAN},12,34,6e1ba97c-768f,node1,47"


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def line(kind: str = "job", ended: str = "none", record: str = RECORD) -> str:
    return f"mqi-job {TOKEN} {kind} slurm {record} {ended} products= log= mqi-1"


def reply(kind: str, *rows: str, code: int = 0, at: int = NOW) -> str:
    return f"mqi-{kind} {at} {code} {packed(chr(10).join(rows))}"


def row(state: str, *, id: int = 47, name: str = TOKEN, reason: str = "None", end: object = NOW - 500) -> str:  # noqa: A002
    return f"{id}|{name}|{state}|{reason}|{end}|node1"


def status(*lines: str, **options: float) -> JobStatus:
    out = "\n".join([f"mqi-now {NOW}", *lines, "mqi-end", ""])
    scheduler = SlurmScheduler("/w", SlurmOptions(**options))
    return scheduler.read_poll((TOKEN,), RemoteResponse(0, out))[TOKEN]


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("COMPLETED", Cause.OTHER),
        ("FAILED", Cause.OTHER),
        ("TIMEOUT", Cause.TIME_LIMIT),
        ("DEADLINE", Cause.TIME_LIMIT),
        ("OUT_OF_MEMORY", Cause.MEMORY),
        ("OUT_OF_ME+", None),
        ("NODE_FAIL", Cause.NODE),
        ("BOOT_FAIL", Cause.NODE),
        ("PREEMPTED", Cause.PREEMPTED),
        ("CANCELLED", Cause.CANCELLED),
        ("CANCELLED by 1000", Cause.CANCELLED),
        ("SOMETHING_NEW", None),
    ],
)
@pytest.mark.parametrize("source", ["queue", "account"])
def test_a_job_that_is_over_and_left_no_word_is_lost_for_a_cause(state: str, cause: Cause | None, source: str):
    rows = (reply("queue", row(state)),) if source == "queue" else (reply("queue"), reply("account", row(state)))
    seen = status(*rows, line())
    assert (seen.state, seen.cause) == ((JobState.LOST, cause) if cause else (JobState.UNKNOWN, None))
    assert state in seen.raw


def test_files_may_be_late_on_a_network_file_system():
    late = row("COMPLETED", end=NOW - 20)
    assert status(reply("queue", late), line()).state is JobState.UNKNOWN
    assert status(reply("queue", late), line(), files_late_s=10).state is JobState.LOST


@pytest.mark.parametrize(
    ("state", "kind", "expected"),
    [
        ("PENDING", "tried", JobState.QUEUED),
        ("CONFIGURING", "tried", JobState.QUEUED),
        ("RUNNING", "job", JobState.RUNNING),
        ("RUNNING", "tried", JobState.RUNNING),
        ("SUSPENDED", "job", JobState.RUNNING),
        ("COMPLETING", "job", JobState.RUNNING),
        ("PENDING", "job", JobState.LOST),  # requeued: it will find its gate taken
        ("REQUEUED", "job", JobState.LOST),
    ],
)
def test_a_job_in_the_queue(state: str, kind: str, expected: JobState):
    record = RECORD if kind == "job" else str(BEGAN)
    seen = status(reply("queue", row(state)), line(kind, record=record))
    assert seen.state is expected
    assert seen.cause is (Cause.REQUEUED if expected is JobState.LOST else None)


def test_a_queue_that_was_asked_before_the_job_began_says_nothing_of_a_requeue():
    assert status(reply("queue", row("PENDING"), at=BEGAN + 10), line()).state is JobState.RUNNING


@pytest.mark.parametrize("state", ["PENDING", "REQUEUED", "COMPLETED", "RUNNING"])
def test_what_was_asked_in_the_future_says_nothing(state: str):
    """The clock of the login node was fast and was corrected: the age of the reply is unknown."""
    assert status(reply("queue", row(state), at=NOW + 3600), line()).state is JobState.UNKNOWN
    assert "Slurm was not queried" in status(reply("queue", row(state), at=NOW + 3600), line()).raw
    assert status(reply("queue", row(state), at=NOW + 3600), line(ended="0,1700000500")).state is JobState.ENDED


def test_another_login_node_may_be_a_little_ahead():
    assert status(reply("queue", row("RUNNING"), at=NOW + 5), line()).state is JobState.RUNNING


def test_the_job_that_took_the_gate_counts_and_no_other_of_its_name():
    rows = (row("COMPLETED", id=46), row("RUNNING"), row("PENDING", id=48))
    assert status(reply("queue", *rows), line()).state is JobState.RUNNING
    assert status(reply("queue", rows[0], rows[2]), line()).state is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("reason", "words", "stuck"),
    [
        ("None", "", False),
        ("(Resources)", "free", False),
        ("Priority", "higher priority", False),
        ("PartitionTimeLimit", "slurm.time_s", True),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-2]", "maintenance", False),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance", False),
        ("JobHeldAdmin", "administrator", True),
        ("AssocGrpGRES", "limit of its account", False),
        ("QOSMaxGRESPerUser", "limit of its account or QOS", False),
        ("QOSMaxWallDurationPerJobLimit", "slurm.time_s", True),
        ("launch failed requeued held", "could not be started", True),
        ("a reason of a new kind", "a reason of a new kind", False),
    ],
)
def test_a_pending_job_says_why(reason: str, words: str, stuck: bool):  # noqa: FBT001
    seen = status(reply("queue", row("PENDING", reason=reason)), line("tried", record=str(BEGAN)))
    assert (seen.state, seen.stuck) == (JobState.QUEUED, stuck)
    assert words in seen.queued_because


@pytest.mark.parametrize(
    "words",
    [
        (),
        (reply("queue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", code=1),),
        (reply("queue"),),  # in no queue, and no accounting
        (reply("queue"), reply("account", "Slurm accounting storage is disabled", code=1)),
        (reply("queue"), reply("account")),
        (reply("queue", "<html>", "47|" + TOKEN), reply("account", "garbage")),
        (reply("queue", row("RUNNING", name="other-b1-r1")), reply("account")),
    ],
)
def test_absence_and_silence_prove_no_end(words: tuple[str, ...]):
    assert status(*words, line()).state is JobState.UNKNOWN
    assert status(*words, line(ended="0,1700000500")).state is JobState.ENDED
    assert status(*words, line("barred", record="none")).state is JobState.BARRED


def test_what_was_never_handed_over_is_absent():
    assert status(reply("queue"), line("none", record="none")).state is JobState.ABSENT
    assert status(line("none", record="none")).state is JobState.ABSENT


def test_a_try_whose_fate_is_open_is_absent_only_by_the_word_of_the_accounting():
    tried = line("tried", record=str(BEGAN))
    assert status(reply("queue"), tried).state is JobState.UNKNOWN
    assert status(reply("queue"), reply("account"), tried).state is JobState.ABSENT
    assert status(reply("queue", at=BEGAN + 5), reply("account", at=BEGAN + 5), tried).state is JobState.QUEUED


def test_who_sent_a_signal_only_the_scheduler_knows():
    ended = line(ended=f"143,{NOW - 5}")
    assert status(reply("queue", row("RUNNING")), ended).state is JobState.RUNNING  # the scheduler's report is awaited
    seen = status(reply("queue", row("CANCELLED")), ended)
    assert (seen.state, seen.exit_code, seen.cause) == (JobState.ENDED, 143, Cause.CANCELLED)
    seen = status(reply("queue", row("PREEMPTED")), ended)
    assert (seen.state, seen.cause) == (JobState.ENDED, Cause.PREEMPTED)
    assert status(line(ended=f"143,{NOW - 500}")).state is JobState.ENDED  # but not forever
    assert SlurmScheduler("/w").read_line(ended) is None
    assert SlurmScheduler("/w").read_line(line(ended=f"0,{NOW - 5}")) is not None
    assert SlurmScheduler("/w").read_line(line()) is None


def test_an_answer_without_its_end_proves_nothing():
    out = f"mqi-now {NOW}\n{line(ended='0,1700000500')}\n"
    assert SlurmScheduler("/w").read_poll((TOKEN,), RemoteResponse(0, out))[TOKEN].state is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("out", "kind"),
    [
        ("mqi-trouble slurm-silent sbatch: error: Batch job submission failed: Socket timed out", Unreachable),
        ("mqi-trouble slurm-refused sbatch: error: invalid partition specified: gpus", ActionRequired),
    ],
)
def test_why_a_job_was_not_taken(out: str, kind: type[Exception]):
    with pytest.raises(kind, match="sbatch: error"):
        SlurmScheduler("/w").read_submit(RemoteResponse(1, out + "\n"))


def test_what_is_asked_of_sbatch():
    from mqi_communicator.case.work import Program, Work
    from mqi_communicator.compute.job import Job

    options = SlurmOptions(
        partition="gpu", account="qa", qos="high", gres="gpu:a100:2", memory_mib=9000, cpus=4, nice=100,
        options=("--constraint=fast",), time_s=7000,
    )  # fmt: skip
    call = SlurmScheduler("/w", options).submit(Job(TOKEN, Work((Program("engine", ("x",)),), (), 9000)))
    lines = call.stdin.decode().splitlines()
    assert {line.split("\t")[1] for line in lines if line.startswith("sbatch")} == {
        "--partition=gpu", "--account=qa", "--qos=high", "--gres=gpu:a100:2", "--time=117", "--mem=9000M",
        "--cpus-per-task=4", "--nice=100", "--constraint=fast",
    }  # fmt: skip
    assert "limit\t6940" in lines  # so that the job can still record how it ended


def test_an_answer_from_before_the_submission_says_nothing_of_it():
    """sbatch refused a first submission, which Slurm lists as FAILED under this name; the next one is newer."""
    refused = row("FAILED", reason="BadConstraints")
    tried = line("tried", record=str(BEGAN))
    assert status(reply("queue", refused, at=BEGAN - 20), tried).state is JobState.QUEUED
    assert status(reply("queue", refused, at=NOW), tried).state is JobState.LOST
