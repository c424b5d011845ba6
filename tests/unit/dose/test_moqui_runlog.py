"""How moqui's log is judged: each line of the table of its failures, and each kind of a complete run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doing import looked_at
from tests.standin.small import moqui, options

from mqi_communicator.dose.engine import Accepted, JobRequest, Refused
from mqi_communicator.dose.moqui.programs import Programs
from mqi_communicator.dose.moqui.runlog import check_whole

pytestmark = pytest.mark.pure

ASKED = "mqi-asked voxels=10 histories=1600 factor=1.5\n"
ANY = "mqi-asked voxels=10 histories=0 factor=1.0\n"
THROWN = "terminate called after throwing an instance of 'std::runtime_error'"
RUN = """mqi-program moqui-{run}
master seed 1
CT (nx,ny,nz): (5, 5, 4)
histories 1600
Upload 800 histories per batch, 2 batches expected
Generating particles...
cum_vertiex 800 800
Transporting particles...
Run transportation 0.1 s
Generating particles...
cum_vertiex 1600 800
Run transportation 0.1 s
cum vertex 1600 total histories 1600
Number of particles tracked 1600
finalizing
finalizing
max capacity 100
"""
ENDED = "Time taken by MC engine: 1.2e+03 milli-seconds\n"
END = "Reshape and save done 0.1 s\n" + ENDED
LOG = RUN.format(run=1) + END + RUN.format(run=2) + END + ASKED
SIZES = {"Outputs-1/beam_3_0_Dose.mha": 480, "Outputs-2/beam_3_0_Dose.mha": 480}
FORK_RUN = """mqi-program moqui-1
Total histories (Particles) : 1600
Generating particles for (1 of 2 batches) in CPU ..
Particle generation complete!
Particle transportation complete!
Generating particles for (2 of 2 batches) in CPU ..
Particle generation complete!
Particle transportation complete!
"""
BEFORE = {"name": "interpreter", "argv": ["python3", "main_cli.py", "{beam}"], "failure_patterns": ["^Traceback"]}
AFTER = {
    "name": "converter",
    "argv": ["convert"],
    "retryable_patterns": ["share is busy"],
    "failure_patterns": ["busy"],
}


def judge(code=0, log=LOG, sizes=None, **options):
    return moqui(**options).job(JobRequest(3)).judge(code, log, SIZES if sizes is None else sizes)


def test_a_complete_run_is_accepted_with_its_histories():
    judged = judge()
    assert isinstance(judged, Accepted), judged
    assert judged.facts == {"histories": 3200, "runs": 2}


@pytest.mark.parametrize(
    ("code", "output", "words", "retryable"),
    [
        (134, f"{THROWN}\n  what():  Cannot open input parameter file.", "Cannot open input parameter file.", False),
        (134, "  what():  ParentDir is not provided", "ParentDir is not provided", False),
        (134, "  what():  There is no RTPLAN in the path. Exiting.", "There is no RTPLAN", False),
        (134, "  what():  Invalid beam number.", "Invalid beam number", False),
        (134, "  what():  Output directory exists.", "Output directory exists", False),
        (134, "  what():  Valid machine is not available.", "Valid machine", False),
        (134, "  what():  Unrecognized scorer name", "Unrecognized scorer", False),
        (134, "Directory.cxx: Assertion `x' failed.", "Assertion", False),
        (134, "free(): invalid next size (normal)", "exit code 134, ended by SIGABRT", False),
        (-6, "", "ended by SIGABRT", False),
        (255, "CUDA error: (setup world) CUDA driver version is insufficient", "driver version is insufficient", False),
        (255, "CUDA error: (setup world) no CUDA-capable device is detected", "no CUDA-capable device", False),
        (2, "GPUassert: out of memory x.hpp 90", "out of memory", True),
        (1, "No free GPU remains after BeamLayerMultiGpu filtering", "No free GPU remains", True),
        (0, "Cannot open file!\nError occurred at writing time!", "Cannot open file!", True),
        (0, "Error occurred at writing time!", "writing time", True),
        (0, "Error: Could not save DICOM file: x", "Could not save DICOM file", True),
        (0, "out-of-bound", "out-of-bound", False),
        (137, "", "SIGKILL", True),
        (143, "", "SIGTERM", True),
        (-9, "", "SIGKILL", True),
        (126, "mqi-refused stdbuf", "the host does not allow jobs to run stdbuf", False),
        (127, "stdbuf: failed to run command", "could not be started", False),
        (124, "", "time limit", False),
        (66, "mqi-missing Outputs-2/beam_3_0_Dose.mha", "exited 0 without Outputs-2/beam_3_0_Dose.mha", True),
        (65, "mqi-input differs from what was sent", "differs from what was sent", False),
        (3, "", "exit code 3", True),
    ],
)  # fmt: skip
def test_each_way_to_fail(code, output, words, retryable):
    judged = judge(code, RUN.format(run=1) + END + RUN.format(run=2) + output + "\n" + (ASKED if code == 0 else ""))
    assert isinstance(judged, Refused)
    assert words in judged.why, judged.why
    assert judged.why.startswith(("moqui-2", "the input", "the host"))
    assert judged.retryable is retryable
    assert judged.advice or judged.retryable


@pytest.mark.parametrize("code", [139, -11])
def test_the_crash_at_the_save_is_tried_again_one_at_the_start_is_not(code):
    at_save = judge(code, RUN.format(run=1))
    assert isinstance(at_save, Refused)
    assert at_save.retryable
    assert "while it saved" in at_save.why
    midway = judge(code, RUN.format(run=1).split("cum_vertiex 1600")[0])
    assert isinstance(midway, Refused)
    assert midway.retryable
    assert "while it computed" in midway.why
    early = judge(code, "mqi-program moqui-1\nmaster seed 1\n")
    assert isinstance(early, Refused)
    assert not early.retryable
    assert "before it computed" in early.why


def test_the_crash_at_the_save_is_known_of_a_fork_too():
    run = FORK_RUN.replace("moqui-1", "moqui")
    at_save = judge(139, run, flavour="fork", seeds=1)
    midway = judge(139, run.split("(2 of 2")[0], flavour="fork", seeds=1)
    assert isinstance(at_save, Refused)
    assert isinstance(midway, Refused)
    assert "while it saved" in at_save.why
    assert "while it computed" in midway.why


@pytest.mark.parametrize(
    ("old", "new", "words", "retryable"),
    [
        (ENDED + "mqi-asked", "mqi-asked", "moqui-2: the log has no end mark", True),
        (ENDED + "mqi-program", "mqi-program", "moqui-1: the log has no end mark", True),
        ("Time taken by MC engine: 1.2e+03 milli", "Time taken by MC engine: 1.2e+03 mil", "no end mark", True),
        ("histories 1600\n", "histories 0\n", "no histories to compute", False),
        ("histories 1600\n", "histories 3200\n", "3200 histories, expected 1600", False),
        (ASKED, "", "the log lacks the line", True),
    ],
)  # fmt: skip
def test_each_lie_of_an_exit_code_of_zero(old, new, words, retryable):
    judged = judge(0, LOG.replace(old, new, 1))
    assert isinstance(judged, Refused)
    assert words in judged.why
    assert judged.retryable is retryable


def test_builds_that_round_spots_differently_are_believed():
    assert isinstance(judge(0, LOG.replace("histories 1600\n", "histories 1592\n")), Accepted)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "Outputs-1/beam_3_0_Dose.mha is missing or empty"),
        ({**SIZES, "Outputs-2/beam_3_0_Dose.mha": 0}, "Outputs-2/beam_3_0_Dose.mha is missing or empty"),
        ({**SIZES, "Outputs-1/beam_3_0_Dose.mha": 80}, "80 bytes, expected a header and 80"),
        ({**SIZES, "Outputs-1/beam_3_0_Dose.mha": 9000}, "9000 bytes"),
        ({"Outputs-1/beam_2_0_Dose.mha": 480, "Outputs-2/beam_2_0_Dose.mha": 480}, "beam_3_0"),
    ],
)
def test_files_that_are_no_dose(sizes, words):
    judged = judge(sizes=sizes)
    assert isinstance(judged, Refused)
    assert words in judged.why
    assert judged.retryable


def test_a_header_without_its_values_is_no_dose():
    sizes = {f"Outputs-{run}/beam_3_0_Dose.{kind}": n for run in (1, 2) for kind, n in (("mhd", 300), ("raw", 80))}
    assert isinstance(judge(sizes=sizes, format="mhd"), Accepted)
    judged = judge(sizes={**sizes, "Outputs-2/beam_3_0_Dose.raw": 79}, format="mhd")
    assert isinstance(judged, Refused)
    assert "79 bytes, expected 80" in judged.why


def test_a_log_that_lost_its_beginning_is_judged_by_what_is_left():
    cut = LOG[LOG.index("Number of particles tracked") :]
    assert isinstance(judge(0, cut), Accepted)
    assert isinstance(judge(0, cut.replace("milli-seconds", "", 1)), Refused)
    later = LOG[LOG.index("mqi-program moqui-2") :]
    assert isinstance(judge(0, later), Accepted)


def test_the_end_of_a_log_without_any_mark_is_the_last_programs():
    tail = LOG[LOG.rindex("cum_vertiex") :]
    assert isinstance(judge(0, tail), Accepted)
    assert isinstance(judge(0, tail.replace("Time taken by MC engine", "Time")), Refused)
    chatty = "line\n" * 9 + ANY
    steps = {"after": [AFTER], "seeds": 1, "flavour": "clinic"}
    assert isinstance(judge(0, chatty, {"Outputs/beam_3_0_Dose.dcm": 300}, **steps), Accepted)
    busy = judge(1, "the share is busy\n", {}, **steps)
    assert isinstance(busy, Refused)
    assert busy.why == "the job: share is busy"


LONG = RUN.replace("Number of particles", "scorer 1234\n" * 340 + "Number of particles")
LONG_LOG = LONG.format(run=1) + END + LONG.format(run=2) + END + ASKED  # two sections of more than 4 kB


def test_no_place_of_a_cut_refuses_a_good_log_nor_makes_a_bad_one_good_for_ever():
    """Two runs of more than 4 kB each, cut anywhere: through marks, words and numbers."""
    layout = Programs(options()).layout(3)
    for size in range(256, len(LONG_LOG) // 2, 37):
        judged = judge(0, looked_at(LONG_LOG, size))
        assert isinstance(judged, Accepted), (size, judged)
        assert judged.facts == {"histories": 3200, "runs": 2}
    for lost in (END, ENDED, "histories 1600\n", "mqi-program moqui-2\n"):
        bad = LONG_LOG.replace(lost, "", 1)
        assert check_whole(layout, bad)
        assert not isinstance(judge(0, bad), Accepted) or lost in ("histories 1600\n", "mqi-program moqui-2\n")


def test_what_a_cut_section_does_say_counts():
    cut = looked_at(LONG_LOG.replace("master seed 1\n", "out-of-bound\n", 1), 1000)
    judged = judge(0, cut)
    assert isinstance(judged, Refused)
    assert "moqui-1: out-of-bound" in judged.why
    fewer = looked_at(LONG_LOG.replace("histories 1600\n", "histories 16\n", 1), 1000)
    judged = judge(0, fewer)
    assert isinstance(judged, Refused)
    assert "moqui-1 computed 16 histories" in judged.why


def test_one_section_on_both_sides_of_a_cut_is_one():
    """The mark before the cut and the one after it leave one step between them."""
    one = LONG.format(run=1) + END + "mqi-program moqui-2\nCannot open file!\n"
    judged = judge(0, looked_at(one, 500))
    assert isinstance(judged, Refused)
    assert judged.why.startswith("moqui-2")
    tail = looked_at(LONG.format(run=1) + END + LONG.format(run=2) + "Cannot open file!\n" + END + ASKED, 1000)
    judged = judge(0, tail)
    assert isinstance(judged, Refused)
    assert judged.why.startswith("moqui-2"), "the job has ended: its last section is the last program's"


def test_a_crash_in_a_cut_section_is_tried_again():
    early = "mqi-program moqui-1\nmaster seed 1\n" + "scorer 1\n" * 300
    cut = judge(139, looked_at(early, 400))
    assert isinstance(cut, Refused)
    assert cut.retryable
    whole = judge(139, early)
    assert isinstance(whole, Refused)
    assert not whole.retryable


def test_a_program_that_prints_the_mark_of_a_cut_proves_nothing_by_it():
    forged = LOG.replace(END, "mqi-cut 100\n", 1)
    assert isinstance(judge(0, forged), Accepted)
    assert "moqui-1: the log has no end mark" in (check_whole(Programs(options()).layout(3), forged) or "")


def test_progress_of_a_long_log_is_read_from_both_of_its_ends():
    """How many histories it has to compute stands at the beginning, how many it has at the end."""
    one = moqui(seeds=1).job(JobRequest(3))
    running = LONG.format(run=1).replace("moqui-1", "moqui").split("Number of particles")[0]
    text = running.replace("scorer 1234\n", "cum_vertiex 800 1\n")
    assert one.progress(looked_at(text, 1000)).percent == 50


def test_the_whole_log_must_show_each_run_from_its_mark_to_its_end():
    layout = Programs(options()).layout(3)
    assert check_whole(layout, LOG) is None
    for lost, words in {
        "mqi-program moqui-1\n": "moqui-1 began",
        RUN.format(run=1) + END: "moqui-1 began",
        RUN.format(run=2) + END: "moqui-2 began",
        "mqi-program moqui-2\n": "moqui-2 began",
        "histories 1600\n": "moqui-1 did not report how many histories",
        ASKED: "the log lacks the line",
    }.items():
        assert lost in LOG
        assert words in (check_whole(layout, LOG.replace(lost, "", 1)) or "")
    first_end = LOG.replace(END, "", 1)
    assert "moqui-1: the log has no end mark" in (check_whole(layout, first_end) or "")
    assert isinstance(judge(0, first_end[first_end.index("mqi-program moqui-2") :]), Accepted)
    assert "out-of-bound" in (check_whole(layout, LOG.replace("master seed 1\n", "out-of-bound\n", 1)) or "")


def test_each_program_is_judged_by_its_own_words():
    """`ERROR:` of a step is no failure of moqui's, and a Traceback in moqui's words is none of the step's."""
    steps = {"before": [BEFORE], "after": [AFTER], "seeds": 1, "flavour": "clinic", "spots": "before"}
    run = FORK_RUN.replace("moqui-1", "moqui") + "Traceback\nTotal execution time: 11993 ms\n"
    log = f"mqi-program interpreter\nERROR: a word\n{run}mqi-program converter\nfine\n{ANY}"
    sizes = {"Outputs/beam_3_0_Dose.dcm": 300}
    assert isinstance(judge(0, log, sizes, **steps), Accepted)
    bad = judge(0, log.replace("ERROR: a word", "Traceback (most recent call last)"), sizes, **steps)
    assert isinstance(bad, Refused)
    assert bad.why == "interpreter: Traceback"
    busy = judge(1, log.replace("fine", "the share is busy"), sizes, **steps)
    assert isinstance(busy, Refused)
    assert busy.why == "converter: share is busy"
    assert busy.retryable
    failed = judge(5, "mqi-program interpreter\nwords\n", {}, **steps)
    assert isinstance(failed, Refused)
    assert failed.why == "interpreter failed with exit code 5"
    assert not failed.retryable
    lacking = judge(66, "mqi-program interpreter\nmqi-missing spots/1/01_150.00MeV.csv\n", {}, **steps)
    assert isinstance(lacking, Refused)
    assert "interpreter exited 0 without spots/1/01_150.00MeV.csv" in lacking.why


def test_the_clinics_own_words_are_known():
    log = "mqi-program moqui\nTotal histories (Particles) : 9\n{}\nTotal execution time: 167.0 seconds\n" + ANY
    sizes = {"Outputs/beam_3_0_Dose.dcm": 300}
    good = judge(0, log.format("Generating particles for (1 of 1 batches)"), sizes, seeds=1, flavour="clinic")
    assert isinstance(good, Accepted)
    for words in ("FATAL ERROR in setup", "ERROR: Dicom CT data is not loaded"):
        bad = judge(0, log.format(words), sizes, seeds=1, flavour="clinic")
        assert isinstance(bad, Refused)
        assert words in bad.why


def test_progress_goes_on_over_batches_runs_and_steps():
    one = moqui().job(JobRequest(3))
    assert one.progress("").percent is None
    assert one.progress("mqi-program moqui-1\nmaster seed 1\n").percent is None
    half = LOG[: LOG.index("cum_vertiex 1600")]
    assert one.progress(half).percent == 25
    assert one.progress(RUN.format(run=1)).percent == 50
    assert one.progress(RUN.format(run=1) + END + half.replace("moqui-1", "moqui-2")).percent == 75
    assert one.progress(LOG).percent == 100
    assert one.progress(half[half.index("histories") :]).percent is None, "of the first or of the second run?"
    assert moqui(seeds=1).job(JobRequest(3)).progress(half[half.index("histories") :]).percent == 50


def test_a_forks_batch_counts_when_the_next_begins():
    one = moqui(flavour="fork", seeds=1, after=[AFTER]).job(JobRequest(3))
    assert one.progress(FORK_RUN.replace("moqui-1", "moqui").split("(2 of 2")[0]).percent == 0
    assert one.progress(FORK_RUN.replace("moqui-1", "moqui")).percent == 50
    assert one.progress(FORK_RUN.replace("moqui-1", "moqui") + "mqi-program converter\n").percent == 100


@given(st.text(alphabet=st.sampled_from("mqi-program 12\nhistories()fTC:0%\\"), max_size=400), st.integers(-20, 260))
def test_no_words_break_the_judge_nor_make_a_dose(text, code):
    for flavour in ("upstream", "fork", "clinic"):
        engine = moqui(flavour=flavour)
        assert isinstance(engine.job(JobRequest(3)).judge(code, text, {}), Refused)
        engine.job(JobRequest(3)).progress(text)
