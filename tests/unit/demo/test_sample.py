"""The samples as written: repeatable, consistent, and wrong only where they say so."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.seldom import seldom

from mqi_communicator.demo.planned import notes, planned_dose
from mqi_communicator.demo.sample import CANARY, KINDS, SIZES, VENDORS, sample_files, write_sample
from mqi_communicator.demo.truth import FRACTIONS, STANDARD, TINY, TRUTHS, digest, range_of_energy
from mqi_communicator.dicom.contours import read_contours, read_labels
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import Biology, DoseType, Extent, LayerKind, Medium
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.dicom.structures import read_structures
from mqi_communicator.results.dvh import dvh

written = cache(sample_files)  # the same for each test, which only reads it


def _read(files, name):
    return pydicom.dcmread(BytesIO(files[name]))


def _gy(ds):
    return ds.pixel_array.astype(np.float64) * float(ds.DoseGridScaling)


def test_the_same_arguments_give_the_same_bytes():
    assert sample_files("pass", "tiny", 7) == sample_files("pass", "tiny", 7)


def test_another_seed_changes_every_file_and_nothing_but_uids():
    one, two = written("pass", "tiny", 1), written("pass", "tiny", 2)
    assert one.keys() == two.keys()
    for name in one:
        a, b = _read(one, name), _read(two, name)
        assert a.SOPInstanceUID != b.SOPInstanceUID
        differing = {e.VR for e, f in zip(a.iterall(), b.iterall(), strict=True) if e != f}
        assert differing <= {"UI", "SQ"}


@pytest.mark.parametrize("kind", seldom(KINDS, often=["pass", "range-error", "line-scan", "aperture", "couch"]))
def test_every_kind_can_be_written_and_differs_from_the_good_case(kind):
    files, good = written(kind, "tiny"), written("pass", "tiny")
    assert files
    assert (files == good) == (kind == "pass")


def test_a_re_export_is_another_content_of_the_same_plan():
    good, again = written("pass", "tiny"), written("re-export", "tiny")
    assert [name for name in good if good[name] != again[name]] == ["RP.dcm"]
    assert _read(good, "RP.dcm").SOPInstanceUID == _read(again, "RP.dcm").SOPInstanceUID


@pytest.mark.parametrize(
    ("kind", "position", "left", "head"),
    [
        ("prone", "HFP", (-1, 0, 0), (0, 0, 1)),
        ("feet-first", "FFS", (-1, 0, 0), (0, 0, -1)),
        ("decubitus", "HFDR", (0, -1, 0), (0, 0, 1)),
    ],
)
def test_a_sample_in_another_position_is_the_same_phantom_in_the_room(kind, position, left, head, tmp_path):
    """`left`, `head`: where the patient's left and head are, in the axes of the correct case (y is down)."""
    rows = np.array([left, np.cross(head, left), head])  # of the patient's x, y and z
    read = {}
    for name in ("pass", kind):
        write_sample(tmp_path / name, kind=name, size="tiny")
        ct = read_ct(sorted((tmp_path / name).glob("CT.*.dcm")))
        dose = read_rtdose(tmp_path / name / "RD.beam2.dcm", DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE))
        target = next(s for s in read_contours(tmp_path / name / "RS.dcm") if s.kind == "PTV")
        read[name] = ct, dose, sound_plan(tmp_path / name / "RP.dcm"), target
    (ct, dose, plan, target), (other_ct, other_dose, other_plan, other_target) = read["pass"], read[kind]
    assert {beam.position for beam in other_plan.beams} == {other_ct.position} == {position}
    for a, b in zip(plan.beams, other_plan.beams, strict=True):
        assert (a.gantry_angle, a.couch_angle) == (b.gantry_angle, b.couch_angle)
        np.testing.assert_allclose(rows @ a.isocenter, b.isocenter)
    for one, other in ((ct, other_ct), (dose, other_dose)):
        values, turned = (v.hu if v is ct or v is other_ct else v.gy for v in (one, other))
        for index in ((0, 3, 5), (2, 7, 1), tuple(n - 1 for n in values.shape)):
            at = np.array([axis[i] for axis, i in zip(one.grid.axes(), index, strict=True)])[::-1]
            place = np.rint((rows @ at - other.grid.origin) / other.grid.spacing).astype(int)[::-1]
            assert turned[tuple(place)] == values[index]
        assert turned.sum(dtype=float) == pytest.approx(values.sum(dtype=float))
    corners = {tuple(np.round(rows @ (*xy, z), 2)) for z, outline in target.contours for xy in outline}
    assert {(*map(float, np.round(xy, 2)), z) for z, outline in other_target.contours for xy in outline} == corners


@pytest.mark.parametrize(("kind", "size"), [("nonsense", "tiny"), ("pass", "nonsense")])
def test_an_unknown_kind_or_size_is_answered_with_the_choices(kind, size):
    with pytest.raises(ValueError, match=r"choose from: .*(canary|tiny)"):
        sample_files(kind, size)


@pytest.mark.parametrize("size", TRUTHS.values(), ids=list(TRUTHS))
def test_the_planned_dose_was_computed_for_this_very_truth(size):
    assert notes(size)["truth"] == digest(size), "the truth has changed: run demo.remake"
    doses = planned_dose(size)
    assert {n: d.shape for n, d in doses.items()} == {f.number: size.dose_grid.shape for f in size.fields}


@pytest.mark.parametrize("size", seldom(SIZES, often=["tiny"]))
def test_the_beams_doses_add_up_to_the_plans(size):
    files = written("pass", size)
    plan = _read(files, "RD.plan.dcm")
    beams = [_read(files, name) for name in files if name.startswith("RD.beam")]
    rounding = sum(float(ds.DoseGridScaling) for ds in (plan, *beams)) / 2
    assert np.abs(_gy(plan) - sum(_gy(ds) for ds in beams)).max() <= rounding * 1.001
    assert 5.0 < _gy(plan).max() < 15.0


def test_the_target_gets_about_two_gray_a_fraction():
    doses = planned_dose(STANDARD)
    total = np.sum(list(doses.values()), axis=0)
    high = total[total > 0.8 * total.max()]
    assert np.median(high) / FRACTIONS == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("size", ["standard", "tiny"])
def test_the_target_is_covered_by_what_is_prescribed(tmp_path, size):
    write_sample(tmp_path, size=size)
    labels = read_labels(tmp_path / "RP.dcm")
    target = next(s for s in read_contours(tmp_path / "RS.dcm") if s.number == labels.target)
    course = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
    planned = read_rtdose(tmp_path / "RD.plan.dcm", course)
    found = dvh(target.contours, SIZES[size].ct.spacing[2], planned, planned)
    assert found is not None
    assert found.covered == 1.0
    assert labels.prescription_gy is not None
    assert found.planned.dose_at(95) >= 0.95 * labels.prescription_gy
    assert found.planned.dose_at(2) <= 1.2 * labels.prescription_gy


@pytest.mark.parametrize("size", ["standard", "tiny"])
def test_the_structures_name_the_slices_they_draw_on_and_the_series_is_longer(size):
    files = written("pass", size)
    rs = _read(files, "RS.dcm")
    study = rs.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    named = [image.ReferencedSOPInstanceUID for image in study.RTReferencedSeriesSequence[0].ContourImageSequence]
    drawn = {
        c.ContourImageSequence[0].ReferencedSOPInstanceUID for r in rs.ROIContourSequence for c in r.ContourSequence
    }
    series = [_read(files, name).SOPInstanceUID for name in sorted(files) if name.startswith("CT.")]
    bare = SIZES[size].bare
    assert bare >= 1
    assert named == series[bare:-bare]
    assert drawn == set(named)


def test_what_lies_beside_a_case_is_not_referred_to_by_it():
    files = written("pass", "tiny")
    beside = {name: _read(files, name) for name in ("MR.0001.dcm", "RS.mr.dcm", "REG.dcm")}
    assert {ds.Modality for ds in beside.values()} == {"MR", "RTSTRUCT", "REG"}
    rest = b"".join(content for name, content in files.items() if name not in beside)
    assert not any(ds.SOPInstanceUID.encode() in rest for ds in beside.values())


def test_the_dose_of_two_plans_is_not_this_plans():
    files = written("pass", "tiny")
    both, plan = _read(files, "RD.sum.dcm"), _read(files, "RP.dcm")
    assert both.DoseSummationType == "MULTI_PLAN"
    referred = [one.ReferencedSOPInstanceUID for one in both.ReferencedRTPlanSequence]
    assert len(set(referred)) == 2
    assert plan.SOPInstanceUID in referred
    assert _gy(both).max() == pytest.approx(1.5 * _gy(_read(files, "RD.plan.dcm")).max(), rel=1e-3)


def test_the_plan_has_what_clinical_plans_have():
    plan = _read(written("pass", "tiny"), "RP.dcm")
    metersets = {r.ReferencedBeamNumber: r.BeamMeterset for r in plan.FractionGroupSequence[0].ReferencedBeamSequence}
    setups = [setup.PatientSetupNumber for setup in plan.PatientSetupSequence]
    assert [beam.ReferencedPatientSetupNumber for beam in plan.IonBeamSequence] == setups
    assert len(set(setups)) == len(plan.IonBeamSequence)
    for beam in plan.IonBeamSequence:
        first = beam.IonControlPointSequence[0]
        assert beam.FinalCumulativeMetersetWeight != metersets[beam.BeamNumber]
        assert first.GantryPitchAngle is None
        magnets = beam.LateralSpreadingDeviceSequence
        assert [(m.LateralSpreadingDeviceID, m.LateralSpreadingDeviceType) for m in magnets] == [
            ("MagnetX", "MAGNET"),
            ("MagnetY", "MAGNET"),
        ]
        settings = first.LateralSpreadingDeviceSettingsSequence
        assert [m.IsocenterToLateralSpreadingDeviceDistance for m in settings] == list(beam.VirtualSourceAxisDistances)
        assert {m.LateralSpreadingDeviceSetting for m in settings} == {"IN"}
        assert {m.LateralSpreadingDeviceWaterEquivalentThickness for m in settings} == {0.0}
        assert beam[0x300B, 0x0010].value == "IMPAC"
    creators = [plan[group, 0x0010].value for group in (0x3253, 0x3287, 0x4001)]
    assert creators == [
        "Varian Medical Systems VISION 3253",
        "Varian Medical Systems VISION 3287",
        "RAYSEARCHLABS 2.0",
    ]
    assert len(plan[0x3253, 0x1000].value) == int(plan[0x3253, 0x1001].value)


@pytest.mark.parametrize("size", ["standard", "tiny"])
def test_the_good_case_is_read_back_as_the_truth_it_was_written_from(tmp_path, size):
    write_sample(tmp_path / "case", size=size)
    truth = SIZES[size]
    plan = sound_plan(tmp_path / "case" / "RP.dcm")
    assert plan.fractions == FRACTIONS
    for read, meant in zip(plan.beams, truth.beams(), strict=True):
        assert (read.number, read.machine, read.gantry_angle, read.couch_angle, read.isocenter) == (
            *(meant.number, "MQI-DEMO", meant.gantry_angle, meant.couch_angle, meant.isocenter),
        )
        assert read.mu_per_weight == pytest.approx(meant.mu_per_weight)
        for layer, planned in zip(read.layers, meant.layers, strict=True):
            assert layer.energy == planned.energy
            np.testing.assert_allclose(layer.spots, planned.spots, atol=1e-4)
            np.testing.assert_allclose(layer.weights, planned.weights, rtol=1e-6)
    ct = read_ct(sorted((tmp_path / "case").glob("CT.*")))
    np.testing.assert_allclose(ct.grid.origin, truth.ct.origin)
    np.testing.assert_allclose(ct.grid.spacing, truth.ct.spacing)
    assert ct.hu.shape == truth.ct.shape
    assert ct.scanner == "MQI SAMPLE|SYNTHETIC CT|DEMO"
    assert read_structures(tmp_path / "case" / "RS.dcm")


def test_second_control_points_of_a_layer_carry_no_weight():
    plan = _read(written("pass", "tiny"), "RP.dcm")
    for beam in plan.IonBeamSequence:
        points = beam.IonControlPointSequence
        assert len(points) == beam.NumberOfControlPoints
        assert not any(np.any(p.ScanSpotMetersetWeights) for p in points[1::2])
        assert points[0].CumulativeMetersetWeight == 0
        assert points[-1].CumulativeMetersetWeight == pytest.approx(beam.FinalCumulativeMetersetWeight)


def test_canary_words_stand_in_every_object_and_every_file_name():
    files = written("canary", "tiny")
    for name, content in files.items():
        assert "Quillfeather" in name
        for word in CANARY:
            assert word.encode() in content or word == "Vexbarrow", (name, word)
    together = b"".join(files.values())
    plan = next(_read(files, name) for name in files if name.endswith("RP.dcm"))
    assert "Vexbarrow" in plan.RTPlanLabel
    assert all("Vexbarrow" in beam.BeamName for beam in plan.IonBeamSequence)
    assert all(together.count(word.encode()) >= len(files) for word in CANARY)


def test_the_good_case_holds_no_canary_word():
    files = written("pass", "tiny")
    assert not any(word.encode() in content + name.encode() for name, content in files.items() for word in CANARY)


def test_a_range_error_raises_each_energy_by_five_millimetres_and_keeps_the_protons():
    good, bad = (_read(written(kind, "tiny"), "RP.dcm") for kind in ("pass", "range-error"))
    for before, after in zip(good.IonBeamSequence, bad.IonBeamSequence, strict=True):
        for a, b in zip(before.IonControlPointSequence, after.IonControlPointSequence, strict=True):
            longer = range_of_energy(b.NominalBeamEnergy) - range_of_energy(a.NominalBeamEnergy)
            assert longer == pytest.approx(5.0, abs=0.02)
    metersets = [
        [float(r.BeamMeterset) for r in ds.FractionGroupSequence[0].ReferencedBeamSequence] for ds in (good, bad)
    ]
    assert all(0.96 < b / a < 0.99 for a, b in zip(*metersets, strict=True))


def test_a_setup_beam_is_number_one_and_the_doses_follow_the_treatment_beams(tmp_path):
    write_sample(tmp_path, kind="setup-beam", size="tiny")
    assert [beam.number for beam in sound_plan(tmp_path / "RP.dcm").beams] == [2, 3]
    for number in (2, 3):
        ds = pydicom.dcmread(tmp_path / f"RD.beam{number}.dcm")
        group = ds.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0]
        assert group.ReferencedBeamSequence[0].ReferencedBeamNumber == number


def test_swapped_beams_keep_their_pixels_and_exchange_their_numbers():
    good, bad = written("pass", "tiny"), written("swapped-beams", "tiny")
    assert _read(good, "RD.beam1.dcm").PixelData == _read(bad, "RD.beam1.dcm").PixelData
    group = _read(bad, "RD.beam1.dcm").ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0]
    assert group.ReferencedBeamSequence[0].ReferencedBeamNumber == 2


def test_the_documentation_lists_every_kind_size_and_vendor():
    page = (Path(__file__).parents[3] / "docs" / "samples.md").read_text(encoding="utf-8")
    assert [row for row in (f"| `{kind}` | {what} |" for kind, what in KINDS.items()) if row not in page] == []
    assert all(f"| `{size.name}` | {size.what} |" in page for size in SIZES.values())
    assert all(f"| `{name}` | {vendor.what} |" in page for name, vendor in VENDORS.items())


@pytest.mark.parametrize("kind", ["line-scan", "line-private", "linear-scan"])
def test_lines_are_read_back_as_the_spots_drawn_out_along_x(tmp_path, kind):
    """Each layer has the same lines as it has spots: as heavy, with their centres there, as long as spots are apart."""
    write_sample(tmp_path, kind=kind, size="tiny")
    for read, meant in zip(sound_plan(tmp_path / "RP.dcm").beams, TINY.beams(), strict=True):
        for layer, planned in zip(read.layers, meant.layers, strict=True):
            assert layer.kind is LayerKind.LINES
            used = np.flatnonzero(layer.weights)
            ends, starts = layer.spots[used], layer.spots[used - 1]
            order = np.lexsort(((starts + ends)[:, 0], (starts + ends)[:, 1]))
            spots = np.lexsort((planned.spots[:, 0], planned.spots[:, 1]))
            np.testing.assert_allclose(((starts + ends) / 2)[order], planned.spots[spots], atol=0.06)
            np.testing.assert_allclose(layer.weights[used][order], planned.weights[spots], rtol=1e-6)
            np.testing.assert_allclose(np.abs(ends - starts), [[TINY.spot_spacing, 0.0]] * len(used), atol=0.11)


def test_lines_in_private_elements_are_in_implicit_vr():
    plan = _read(sample_files("line-private", "tiny"), "RP.dcm")
    assert plan.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    point = plan.IonBeamSequence[0].IonControlPointSequence[0]
    assert "ScanSpotPositionMap" not in point
    assert point[0x300B, 0x0010].value == "IMPAC"
