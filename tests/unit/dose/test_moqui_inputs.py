"""Input files say what was meant, in moqui's own reading; what moqui would misread is refused before it is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine_files import beam_files
from tests.standin.small import beam, layer, lines_of, moqui, plan, volume

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dose.moqui.flavours import BUILT_IN, CLINIC, FORK, UPSTREAM
from mqi_communicator.dose.moqui.reading import check_input

pytestmark = pytest.mark.pure

FLAVOURS = sorted(BUILT_IN)
RUN1 = "input-run1-gpus1.txt"


def made(flavour: str = "upstream", name: str = RUN1, **options) -> bytes:
    case = plan(beam(), beam(number=2, layers=(layer(),), meterset=4.0, final_cumulative_weight=4.0))
    return beam_files(moqui(flavour=flavour, **options), case, case.beams[0], volume())[name]


def moqui_reads(text: bytes) -> dict[str, str]:
    """As the program does it: the first of equal keys, whatever their case, everything behind a # gone."""
    found: dict[str, str] = {}
    for line in text.decode().split("\n"):
        key, blank, value = line.split("#", 1)[0].strip(" \t\r").partition(" ")
        if blank:
            found.setdefault(key.lower(), value.strip(" \t\r"))
    return found


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_moqui_reads_what_we_read(flavour):
    text = made(flavour)
    output = check_input(text, BUILT_IN[flavour], [3, 2])
    assert {key.lower(): value for key, value in output.items()} == moqui_reads(text)
    assert all(line.count(" ") == 1 and line.strip() == line for line in text.decode().splitlines())


def test_upstream_is_asked_for_physical_dose_of_one_fraction():
    output = lines_of(made())
    assert (output["RBE"], output["NumberOfFraction"], output["Scorer"]) == ("1.0", "1", "Dose")
    assert output["BeamNumbers"] == "3"
    assert output["Machine"].startswith("pbs:../../input/common/machine-")
    assert (output["ParentDir"], output["DicomDir"]) == ("../../input/common", "dicom")
    assert (output["OutputDir"], output["OverwriteResults"]) == ("Outputs-1", "false")
    assert int(output["MaxHistoriesPerBatch"]) > 0


def test_formats_are_exactly_the_programs_words():
    assert lines_of(made())["OutputFormat"] == "mha"
    assert lines_of(made(format="mhd"))["OutputFormat"] == "mhd"
    assert lines_of(made("clinic"))["OutputFormat"] == "dcm"


def test_runs_differ_in_their_seed_by_more_than_spots_and_in_their_folder():
    first, second = (lines_of(made(name=f"input-run{run}-gpus1.txt", seed=5)) for run in (1, 2))
    assert int(second["RandomSeed"]) - int(first["RandomSeed"]) > 100_000  # spot k has the seed + k
    assert second["OutputDir"] == "Outputs-2"
    assert {key for key in first if first[key] != second[key]} == {"RandomSeed", "OutputDir"}


def test_a_single_run_has_the_plain_folder():
    assert lines_of(made(seeds=1))["OutputDir"] == "Outputs"


def test_histories_are_asked_for_in_the_flavours_own_way():
    assert "ParticlesPerHistory" in lines_of(made("fork"))
    clinic = lines_of(made("clinic", histories_per_beam=1_000_000))
    assert clinic["NormalizeTotalHistories"] == "500000"
    assert "ParticlesPerHistory" not in clinic


def test_several_gpus_have_a_file_each_number():
    files = beam_files(moqui(flavour="clinic", gpus_per_beam=3, seeds=1), plan(), beam(), volume())
    assert set(files) == {"asked.txt", *(f"input-run1-gpus{n}.txt" for n in (1, 2, 3))}
    one, three = (lines_of(files[f"input-run1-gpus{n}.txt"]) for n in (1, 3))
    assert "EnableBeamLayerMultiGpu" not in one
    assert three["EnableBeamLayerMultiGpu"] == "true"
    assert three["BeamLayerMultiGpuAllowedGpuIds"] == "0,1,2"
    assert three["BeamLayerMultiGpuMaxWorkers"] == "3"
    assert three["BeamLayerMultiGpuTempRoot"] == "gpu-work-1"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GPUID 0", "GPUID\t0", "exactly one blank"),
        ("GPUID 0", "GPUID  0", "exactly one blank"),
        ("GPUID 0", "GPUID", "exactly one blank"),
        ("GPUID 0", " GPUID 0", "exactly one blank"),
        ("GPUID 0", "GPUID 0 ", "exactly one blank"),
        ("GPUID 0\n", "GPUID 0\n\n", "only blanks"),
        ("GPUID 0\n", "GPUID 0\n   \n", "only blanks"),
        ("GPUID 0\n", "GPUID 0\n# comment\n", "a # begins a comment"),
        ("dicom\n", "di#com\n", "a # begins a comment"),
        ("ParentDir ../../input/common", "ParentDir #", "a # begins a comment"),
        ("GPUID 0\n", "GPUID 0\ngpuid 1\n", "gpuid is repeated here"),
        ("GPUID 0", "GPU 0", "GPU is not a key that it knows"),
        ("ParticlesPerHistory", "ParticlePerHistory", "ParticlePerHistory is not a key"),
        ("GPUID 0", "GPUID zero", "GPUID is 'zero', which is not of the type int"),
        ("RandomSeed 1", "RandomSeed -1", "RandomSeed is '-1', expected 0 or more"),
        ("UseAbsolutePath false", "UseAbsolutePath no", "which is not of the type truth"),
        ("Scorer Dose", "Scorer Dose,LETd", "expected Dose and nothing else"),
        ("OutputFormat mha", "OutputFormat MHA", "which is not of the type format"),
        ("OutputFormat mha", "OutputFormat dcm", "expected one of mha, mhd, raw"),
        ("BeamNumbers 3", "BeamNumbers 0", "which is not of the type beam"),
        ("BeamNumbers 3", "BeamNumbers 2,3", "which is not of the type beam"),
        ("BeamNumbers 3", "BeamNumbers 1", "not a treatment beam of the plan"),
        ("OverwriteResults false", "OverwriteResults true", "an old dose must not be taken"),
        ("RBE 1.0", "RBE 1.1", "the dose is physical"),
        ("NumberOfFraction 1", "NumberOfFraction 30", "of one fraction"),
        ("OutputDir Outputs-1", "OutputDir ../Outputs", "a new folder in the run folder"),
        ("OutputDir Outputs-1", "OutputDir a/b", "a new folder in the run folder"),
        ("DicomDir dicom", "DicomDir /data/dicom", "which is not of the type path"),
        ("DicomDir dicom", "DicomDir ../dicom", "is outside the run folder"),
        ("SimulationType perBeam", "SimulationType perSpot", "expected perBeam"),
        ("StoppingStatistics false", "StoppingStatistics true", "no upper limit"),
    ],
)
def test_what_moqui_would_misread_is_refused_with_its_line(old, new, words):
    text = made().decode()
    assert old in text
    with pytest.raises(Permanent, match=words) as caught:
        check_input(text.replace(old, new, 1).encode(), UPSTREAM, [3, 2])
    assert "line " in caught.value.reason


@pytest.mark.parametrize("key", sorted(UPSTREAM.required))
def test_required_keys_are_missed(key):
    text = b"".join(line for line in made().splitlines(keepends=True) if not line.startswith(key.encode() + b" "))
    with pytest.raises(Permanent, match=f"lacks {key}"):
        check_input(text, UPSTREAM, [3, 2])


@pytest.mark.parametrize("text", [b"", b"GPUID 0", "GPUID ½\n".encode()])
def test_what_is_no_text_of_lines_is_refused(text):
    with pytest.raises(Permanent, match="end with a line break, or is not ASCII"):
        check_input(text, UPSTREAM, [3])


def test_a_zero_batch_or_no_particles_are_refused():
    text = made().decode()
    for key in ("MaxHistoriesPerBatch", "ParticlesPerHistory"):
        line = next(one for one in text.splitlines() if one.startswith(key))
        with pytest.raises(Permanent, match="more than 0"):
            check_input(text.replace(line, f"{key} 0").encode(), UPSTREAM, [3, 2])


TEXT = made().decode()


@given(st.integers(0, len(TEXT) - 1), st.sampled_from([" ", "\t", "#", "\n", "x", "0", "-", ""]))
def test_whatever_passes_is_read_by_moqui_as_we_read_it(place, character):
    """One character changed anywhere: either refused, or both readers agree on every key."""
    changed = (TEXT[:place] + character + TEXT[place + 1 :]).encode()
    try:
        output = check_input(changed, UPSTREAM, [3, 2])
    except Permanent:
        return
    assert {key.lower(): value for key, value in output.items()} == moqui_reads(changed)
    assert set(output) >= UPSTREAM.required


@pytest.mark.parametrize("flavour", [UPSTREAM, FORK, CLINIC], ids=lambda f: f.name)
def test_each_flavour_writes_only_keys_that_it_knows(flavour):
    assert set(flavour.lines) | set(flavour.several_gpus) <= set(flavour.keys)
    assert flavour.required <= set(flavour.lines)


def test_a_line_of_the_site_that_would_be_misread_is_refused_before_it_is_sent():
    ours = {"ours": {"based_on": "upstream", "lines": {"TotalThreads": "all"}}}
    with pytest.raises(Permanent, match=r"moqui \(ours\) would be misread, line 4: TotalThreads is 'all'") as caught:
        made("ours", flavours=ours)
    assert "engine.flavours" in caught.value.advice


def test_lines_of_the_site_are_added_changed_and_taken_away():
    ours = {
        "based_on": "upstream",
        "keys": {"Nozzle": "word"},
        "lines": {"Nozzle": "N-{gantry}", "TotalThreads": "512", "StoppingStatistics": ""},
    }
    output = lines_of(made("ours", flavours={"ours": ours}))
    assert (output["Nozzle"], output["TotalThreads"]) == ("N-0", "512")
    assert "StoppingStatistics" not in output
