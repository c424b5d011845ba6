"""What upstream moqui is given of a range shifter and an aperture, and what is refused because it cannot be given."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.engine_files import beam_files, common_files
from tests.shifters import PMMA, setting, with_settings
from tests.standin.beamline import devices_of_plan, stopping
from tests.standin.site import BEAM_FILE
from tests.standin.small import SIGNED, beam, beam_file, lines_of, machine, moqui, plan, volume

from mqi_communicator.case.work import Work
from mqi_communicator.dicom.records import Aperture, Beam, Device
from mqi_communicator.dose.abilities import APERTURES, RANGE_SHIFTERS
from mqi_communicator.dose.commissioning import Commissioning, Measured
from mqi_communicator.dose.engine import JobRequest, PreparedCase
from mqi_communicator.dose.moqui.beamfile import parse_beam_file
from mqi_communicator.dose.moqui.device_checks import wider_by
from mqi_communicator.dose.moqui.device_log import device_fault
from mqi_communicator.dose.moqui.requested import RequestedRun, requested_in
from mqi_communicator.dose.moqui.sections import Section
from mqi_communicator.dose.moqui.stopping import density_with
from mqi_communicator.dose.range_shifter import RangeShifter

pytestmark = pytest.mark.pure

BOTH = {kind: Measured(SIGNED, "10 x 10 cm2 behind RS") for kind in (RANGE_SHIFTERS, APERTURES)}
SQUARE = np.array([(-20.0, -20.0), (20.0, -20.0), (20.0, 20.0), (-20.0, 20.0)])
BRASS = Aperture((SQUARE,), 300.0, "SOURCE_SIDE", 65.0, "BRASS")
LISTED = Device("aperture", "IonBlockSequence (300A,03A6)", "1 of them")


def engine(shifter: RangeShifter = PMMA, **changes):
    return moqui({"G1": machine(devices=BOTH, shifters={"RS": shifter}, **changes)})


def shifted(*settings, **changes) -> Beam:
    one = with_settings(beam(**changes), *(settings or ((setting(),),)))
    return replace(one, devices=(Device("range shifter", "RangeShifterSequence (300A,0314)", "RS"),))


def cut(aperture: Aperture = BRASS, *more: Aperture, **changes) -> Beam:
    return beam(apertures=(aperture, *more), devices=(LISTED,), **changes)


def sent(one: Beam, by=None):
    (item,) = [
        item
        for item in pydicom.dcmread(
            BytesIO(common_files(by or engine(), plan(one), volume())["dicom/RP.dcm"])
        ).IonBeamSequence
        if item.BeamName == "beam_3"
    ]
    return item


def refusals(one: Beam, by=None) -> list[str]:
    return [str(problem) for problem in (by or engine()).refusals(PreparedCase(plan(one), volume()))]


def built(one: Beam):
    """What moqui's source makes of what is sent."""
    density = float(lines_of(beam_files(engine(), plan(one), one, volume())["input-run1-gpus1.txt"]).get(
        "RangeshifterDensity", "1.19"
    ))  # fmt: skip
    return devices_of_plan(sent(one), BEAM_FILE.decode(), density)


@pytest.mark.parametrize(("distance", "wet"), [(135.9, 34.3), (275.5, 57.0), (200.0, 40.0)])
def test_moqui_builds_the_range_shifter_of_the_plan(distance, wet):
    (slab,) = built(shifted((setting(distance=distance, wet=wet),)))
    assert slab.bottom == pytest.approx(distance, abs=1e-3)
    assert slab.top == pytest.approx(distance + wet / 1.15, abs=1e-3)
    assert slab.wet == pytest.approx(wet, rel=1e-4)


def test_it_is_set_in_every_control_point():
    points = sent(shifted()).IonControlPointSequence
    assert len(points) == 4
    assert [p.RangeShifterSettingsSequence[0].RangeShifterSetting for p in points] == ["IN"] * 4


def test_the_density_is_that_of_the_stopping_power():
    assert stopping(density_with(1.15)) == pytest.approx(1.15, abs=1e-5)


@pytest.mark.parametrize(("mounting", "bottom"), [("SOURCE_SIDE", 300.0), ("PATIENT_SIDE", 235.0)])
def test_moqui_builds_the_aperture_of_the_plan(mounting, bottom):
    (block,) = built(cut(replace(BRASS, mounting=mounting)))
    assert (block.bottom, block.top) == (bottom, bottom + 65.0)
    x, y = 1 - bottom / 2234.8, 1 - bottom / 1859.1
    assert block.corners == pytest.approx(SQUARE * [x, y], abs=1e-3)


def test_an_outline_was_projected_with_the_distances_of_the_plan():
    (block,) = built(cut(sad=(2240.0, 1850.0)))
    assert block.corners == pytest.approx(SQUARE * [1 - 300 / 2240, 1 - 300 / 1850], abs=1e-3)


@pytest.mark.parametrize("settings", [(), ((setting(word="OUT"),),)])
def test_a_beam_without_a_device_is_sent_without_one(settings):
    one = with_settings(beam(), *settings) if settings else beam()
    item = sent(one, moqui())
    assert (item.NumberOfRangeShifters, item.NumberOfBlocks) == (0, 0)
    assert "RangeShifterSequence" not in item
    assert "RangeShifterSettingsSequence" not in item.IonControlPointSequence[0]
    assert "RangeshifterDensity" not in lines_of(beam_files(moqui(), plan(one), one, volume())["input-run1-gpus1.txt"])


def test_protons_start_above_every_device():
    """They would not cross what is above their start: SnoutPosition + 50 mm."""
    assert sent(shifted()).IonControlPointSequence[0].SnoutPosition == 410.0
    near = shifted(snout_position=160.0)
    assert sent(near).IonControlPointSequence[0].SnoutPosition == pytest.approx(200 + 40 / 1.15 + 1 - 50)
    assert sent(cut(snout_position=260.0)).IonControlPointSequence[0].SnoutPosition == pytest.approx(365 + 1 - 50)


def test_spots_must_not_grow_because_protons_start_farther_away():
    wide = replace(beam_file(), optics=((2.0, 2.0, 0.02, 0.02),) * 17)
    assert wider_by(beam(), wide, 200.0, 200.0) == 0.0
    assert wider_by(beam(), wide, 200.0, 300.0) == pytest.approx(np.hypot(2, 6) / np.hypot(2, 4) - 1)
    (found,) = refusals(shifted(snout_position=160.0), engine(model=wide))
    assert "must start 26 mm farther from the isocentre than SnoutPosition + 50 mm" in found
    assert "by 10.1 %, expected at most 1 %" in found


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (shifted((setting(),), ()), "range shifter RS is in the beam for 1 of 2 layers"),
        (shifted((setting(),), (setting(distance=210.0),)), "range shifter RS has other settings in some layers"),
        (shifted((setting(), setting("B"))), "RS and B are in the beam at once"),
        (shifted((setting(word="POSITION1"),)), "range shifter RS is not prepared"),
        (shifted((setting(wet=75.0),)), "behind range shifter RS of 75 mm water-equivalent thickness, protons of"),
        (cut(BRASS, BRASS), "2 apertures with 2 openings"),
        (cut(replace(BRASS, outlines=(SQUARE, SQUARE + 50))), "1 apertures with 2 openings"),
        (cut(limiting_angle=90.0), "BeamLimitingDeviceAngle (300A,0120) is 90 degrees with an aperture, expected 0"),
        (cut(replace(BRASS, outlines=(SQUARE * 10,))), "the opening reaches 173.2 and 167.7 mm from the axis"),
        (cut(replace(BRASS, thickness=10.0)), "a block of 10 mm before protons that reach 156 mm of water"),
        (cut(replace(BRASS, distance=-20.0)), "the aperture's downstream edge is -20 mm from the isocentre"),
        (replace(shifted(), apertures=(BRASS,)), "the range shifter, from 200 mm, is not above the aperture"),
    ],
)  # fmt: skip
def test_what_moqui_would_build_otherwise_is_refused_by_name(one, words):
    found = refusals(one)
    assert any(words in each for each in found), found


GEOMETRY = b"rangeshifter(mm) 300 300\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BEAM_FILE.replace(GEOMETRY, b""), "the beam file has no line rangeshifter(mm), the size of the range shifter"),
        (BEAM_FILE.replace(GEOMETRY, b"rangeshifter(mm) 30 30\n"), "rangeshifter(mm) 30 30, does not cover the beam"),
        (
            BEAM_FILE.replace(b"[spot]", b'[rangeshifter_thickness]\n"RS" 40\n[spot]'),
            "section [rangeshifter_thickness]",
        ),
    ],
)
def test_a_beam_file_that_moqui_would_take_the_range_shifter_from_is_refused(text, words):
    assert refusals(shifted()) == []
    found = refusals(shifted(), engine(model=parse_beam_file(text, SIGNED)))
    assert any(words in each for each in found), found


def test_an_aperture_must_have_a_block_that_covers_the_beam():
    small = parse_beam_file(BEAM_FILE.replace(b"aperture(mm) 300 300", b"aperture(mm) 30 300"), SIGNED)
    assert refusals(cut()) == []
    assert any("aperture(mm) 30 300, does not cover the beam" in one for one in refusals(cut(), engine(model=small)))


@pytest.mark.parametrize("flavour", ["upstream", "fork", "clinic"])
@pytest.mark.parametrize("one", [shifted(), cut()])
def test_without_commissioning_they_are_refused_with_what_to_do(one, flavour):
    (found,) = moqui(flavour=flavour).refusals(PreparedCase(plan(one), volume()))
    kind = "range_shifters" if one.devices[0].kind == "range shifter" else "apertures"
    assert "needs a" in str(found)
    if flavour == "upstream":
        assert f"under machines, G1, moqui, devices, {kind}" in found.advice
    else:
        assert "check it by another method" in found.advice


def test_the_dose_is_named_after_the_number_of_devices():
    one, two = moqui(), engine()
    assert len(one.job(JobRequest(3)).work().products) == 2
    work: Work = two.job(JobRequest(3)).work()
    assert work.products[::2] == tuple(f"Outputs-1/beam_3_{count}_Dose.mha" for count in (0, 1, 2))
    assert [program.outputs for program in work.programs] == [(), ()]


def test_a_run_is_requested_with_its_devices():
    asked = beam_files(engine(), plan(shifted()), shifted(), volume())["asked.txt"].decode()
    assert asked.endswith(" shifter=34.7826@217.3913\n")
    found = requested_in(asked)
    assert found is not None
    assert (found.devices, found.shifter, found.aperture) == (1, (34.7826, 217.3913), None)
    assert requested_in("mqi-asked voxels=10 histories=5 factor=1.5\n") == RequestedRun(10, 5, 1.5)


BUILT = "Range shifter thickness: 34.7826 (mm) and position: 217.391 (mm)\n"
HOLE = "BlockThickness and Position (center) : 65, 332.5 mm\n"


@pytest.mark.parametrize(
    ("text", "requested", "words"),
    [
        (BUILT, {"shifter": (34.7826, 217.3913)}, None),
        (HOLE, {"aperture": (65.0, 332.5)}, None),
        (BUILT + HOLE, {"shifter": (34.7826, 217.3913), "aperture": (65.0, 332.5)}, None),
        ("", {}, None),
        ("", {"shifter": (34.8, 217.4)}, "does not report that it built a range shifter of 34.8 mm at 217.4 mm"),
        (BUILT, {}, "built a range shifter of 34.7826 mm at 217.391 mm from the isocentre (centre), and none was"),
        (
            HOLE,
            {"aperture": (65.0, 300.0)},
            "built an aperture of 65 mm at 332.5 mm from the isocentre (centre), expected",
        ),
        (BUILT, {"shifter": (29.0, 217.3913)}, "expected a range shifter of 29 mm"),
    ],
)
def test_what_moqui_says_that_it_built_is_compared(text, requested, words):
    found = device_fault(Section("moqui", text, whole=True), RequestedRun(1, 1, 1.0, **requested))
    assert (found is None) is (words is None)
    assert (words or "") in (found or "")


def test_nothing_is_concluded_from_what_an_excerpt_leaves_out():
    assert device_fault(Section("moqui", "", whole=False), RequestedRun(1, 1, 1.0, shifter=(1.0, 2.0))) is None


def test_a_range_shifter_that_nobody_commissioned_is_not_judged():
    nobody = replace(PMMA, commissioning=Commissioning())
    for shifter, count in ((PMMA, 0), (nobody, 1)):
        found = engine(shifter).case(PreparedCase(plan(shifted()), volume())).basis()
        assert len(found) == count, found


def test_recipe_and_evidence_name_the_range_shifters_and_the_measured_field():
    made = engine()
    assert "range_shifter/G1/RS" in made.recipe()
    assert made.evidence()["apertures/G1"] == "commissioned by Physics on 2026-01-31, measured: 10 x 10 cm2 behind RS"
    assert "range_shifter/G1/RS" not in moqui().recipe()


def test_a_verdict_says_what_was_assumed_of_an_aperture_and_of_the_start():
    notes = {one.name: one for one in engine().case(PreparedCase(plan(cut()), volume())).cautions()}
    assert not notes["aperture"].review
    assert "BRASS, 65 mm thick, downstream edge 300 mm from the isocentre" in notes["aperture"].note
    assert "proton_start" not in notes
    near = engine().case(PreparedCase(plan(shifted(snout_position=160.0)), volume())).cautions()
    (start,) = [one for one in near if one.name == "proton_start"]
    assert "start 26 mm farther from the isocentre" in start.note
    assert start.value == pytest.approx(0.1, abs=0.1)
    assert not start.review


def test_the_isocentre_of_a_beam_with_a_device_is_the_origin_of_what_is_sent():
    """Elsewhere moqui would misplace secondary protons that begin in the device."""
    here = shifted()
    files = common_files(engine(), plan(here), volume())
    slices = [pydicom.dcmread(BytesIO(data)) for name, data in sorted(files.items()) if "/CT" in name]
    assert sent(here).IonControlPointSequence[0].IsocenterPosition == [0.0, 0.0, 0.0]
    first = [a - b for a, b in zip(volume().grid.origin, here.isocenter, strict=True)]
    assert [float(value) for value in slices[0].ImagePositionPatient] == pytest.approx(first)
    assert sent(beam(), moqui()).IonControlPointSequence[0].IsocenterPosition == list(beam().isocenter)


def test_beams_with_devices_at_two_isocentres_are_refused():
    other = replace(shifted(), number=4, isocenter=(0.0, 22.0, -25.0))
    found = [str(one) for one in engine().refusals(PreparedCase(plan(shifted(), other), volume()))]
    assert any("have different isocentres" in one for one in found), found
    assert (
        engine().refusals(PreparedCase(plan(shifted(), replace(beam(), number=4, isocenter=other.isocenter)), volume()))
        == ()
    )
