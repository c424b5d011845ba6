"""Samples in the form of clinical systems' exports are admitted, and the engine's input is the sample's own beams."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.e2e.conftest import ENGINE, Site
from tests.seldom import seldom

from mqi_communicator.app import build_engine
from mqi_communicator.config import Config, load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.phantom import in_body
from mqi_communicator.demo.sample import KINDS, VENDORS, sample_files, write_sample
from mqi_communicator.demo.truth import TINY
from mqi_communicator.demo.vendors import COMBINED
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import write_input
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Complete
from mqi_communicator.intake.spooling import copy_to_spool

pytestmark = pytest.mark.skipif(not (ENGINE / "BDL").is_dir(), reason="./test.sh fetches the engine")


@dataclass(frozen=True)
class Sent:
    """A sample as it was admitted, and what is sent to the engine."""

    vendor: str
    folder: Path
    found: Complete
    input: Path

    def objects(self, modality: str) -> list[pydicom.Dataset]:
        """The objects of a modality, which is at the start of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # OpenTPS writes a Modality that is no code string
            every = [pydicom.dcmread(path) for path in sorted(self.folder.iterdir())]
            return [ds for ds in every if str(ds.Modality).startswith(modality)]

    @property
    def plan(self) -> pydicom.Dataset:
        """The plan as exported."""
        return self.objects("RTPLAN" if self.vendor != "opentps" else "RT Ion Plan IOD")[0]

    def fields(self) -> list[str]:
        """The text of each beam's plan file."""
        return [path.read_text() for path in sorted(self.input.glob("beam-*/plan.txt"))]


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("vendors")
    with PrivateHost(folder / "host") as host:
        return load(Site(folder, host).config)


@pytest.fixture(scope="module")
def sent(config, tmp_path_factory):
    """Returns what is sent of a vendor's sample; each is admitted once."""
    known: dict[str, Sent] = {}

    def of(vendor: str) -> Sent:
        if vendor not in known:
            folder = tmp_path_factory.mktemp(vendor)
            write_sample(folder / "case", size="tiny", vendor=vendor)
            preparer = Preparer(build_engine(config), config.preparation)
            found = examine(folder / "case", config.intake, preparer.refusals, still_for=1e6)
            assert isinstance(found, Complete), found
            spool = Spool(folder / "spool")
            copy_to_spool(folder / "case", spool.case, found)
            write_input(spool, preparer, config.dose_conventions)
            known[vendor] = Sent(vendor, folder / "case", found, spool.input)
        return known[vendor]

    return of


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_engine_gets_the_samples_beams(sent, vendor):
    truth = VENDORS[vendor].sizes["tiny"].beams()
    meant = {tuple(layer.energy for layer in beam.layers): beam.meterset for beam in truth}
    found = {energies(text): mu(text) for text in sent(vendor).fields()}
    assert found == pytest.approx(meant, rel=1e-5)


def test_the_range_shifter_of_raystation_is_set_in_every_control_point_that_is_sent(sent):
    case = sent("raystation")
    first, second = case.plan.IonBeamSequence
    assert [shifter.RangeShifterNumber for shifter in first.RangeShifterSequence] == [0]
    set_at = [i for i, p in enumerate(first.IonControlPointSequence) if "RangeShifterSettingsSequence" in p]
    assert set_at == [0]
    assert second.NumberOfRangeShifters == 0
    assert shifters(case.fields()[0]) == {("IN", 135.9, 34.3)}
    assert count("####RangeShifterSetting", case.fields()[0]) == count("####ControlPointIndex", case.fields()[0])
    assert shifters(case.fields()[1]) == set()


def test_the_distance_that_iba_plans_have_is_replaced_by_that_of_the_machine(sent):
    case = sent("eclipse-iba")
    first = case.plan.IonBeamSequence[0]
    for point in first.IonControlPointSequence:
        (setting,) = point.RangeShifterSettingsSequence
        assert setting.IsocenterToRangeShifterDistance == -61.5
    assert shifters(case.fields()[0]) == {("IN", 368.5, 41.96)}
    assert shifters(case.fields()[1]) == set()


def test_lines_of_private_elements_are_sent_as_spots_along_them(sent):
    case = sent("sumitomo-line")
    truth = VENDORS["sumitomo-line"].sizes["tiny"].beams()
    for beam, text, meant in zip(case.plan.IonBeamSequence, case.fields(), truth, strict=True):
        assert beam.ScanMode == "LINE"
        assert not any("ScanSpotPositionMap" in point for point in beam.IonControlPointSequence)
        assert beam.BeamName.endswith(":TX")
        sent_spots = np.array(spots(text))
        positions = np.concatenate([layer.spots for layer in meant.layers])
        assert len(sent_spots) > 2 * len(positions)
        assert np.all(sent_spots[:, 0] > positions[:, 0].min())  # centres of pieces: never at the end of a line
        assert np.all(sent_spots[:, 0] < positions[:, 0].max())
        assert set(sent_spots[:, 1].round(3)) == set(positions[:, 1])


def test_the_couch_has_the_hu_of_its_density_and_what_is_outside_the_body_is_air(sent):
    case, truth = sent("raystation"), VENDORS["raystation"].sizes["tiny"]
    couch, blanket = truth.beside
    scanned = np.stack([ds.pixel_array for ds in sorted(case.objects("CT"), key=lambda ds: ds.ImagePositionPatient[2])])
    sent_hu = np.fromfile(case.input / "common/CT.raw", dtype="<f4").reshape(truth.ct.shape)[:, ::-1, ::-1]
    z, y, x = np.meshgrid(*truth.ct.axes(), indexing="ij", sparse=True)
    within, beyond = (one.solid.holds(x, y, z) & ~in_body(truth.ct) for one in (couch, blanket))
    assert set(scanned[within]) == {couch.scanned}
    assert set(scanned[beyond]) == {blanket.scanned}
    within &= np.abs(x - couch.solid.centre[0]) < couch.solid.half[0]  # voxels on the contour may be on either side
    (hu,) = set(sent_hu[within])
    assert hu == pytest.approx(couch.solid.hu, abs=15)  # of PMMA: 1 % of its stopping power
    assert set(sent_hu[beyond]) == {-1000.0}


def shifters(text: str) -> set[tuple[str, float, float]]:
    """The settings of a range shifter in a field: setting, distance and water-equivalent thickness in mm."""
    found = re.findall(
        r"####RangeShifterSetting\n(\S+)\n####IsocenterToRangeShifterDistance\n(\S+)\n"
        r"####RangeShifterWaterEquivalentThickness\n(\S+)\n",
        text,
    )
    return {(setting, round(float(distance), 3), round(float(wet), 3)) for setting, distance, wet in found}


def count(line: str, text: str) -> int:
    """How often it is a line of the text."""
    return text.splitlines().count(line)


def energies(text: str) -> tuple[float, ...]:
    """Those of the layers of a field in the engine's plan, in MeV."""
    return tuple(float(energy) for energy in re.findall(r"####Energy \(MeV\)\n(\S+)", text))


def mu(text: str) -> float:
    """The sum over the spots of a field in the engine's plan."""
    return sum(weight for _, _, weight in spots(text))


def spots(text: str) -> list[tuple[float, float, float]]:
    """x and y in mm and MU of each spot of a field."""
    rows = re.findall(r"^(-?[\d.]+) (-?[\d.]+) ([\d.]+)$", text.partition("#SPOTS-DESCRIPTION")[2], re.MULTILINE)
    return [(float(x), float(y), float(weight)) for x, y, weight in rows]


@pytest.mark.parametrize("vendor", VENDORS)
def test_its_objects_are_made_by_the_vendor_and_its_patient_by_nobody(sent, vendor):
    case = sent(vendor)
    for ds in (*case.objects("RT"), *case.objects("CT")):
        assert str(ds.PatientName) == "MQI^SAMPLE"
        assert ds.file_meta.TransferSyntaxUID.is_implicit_VR
        assert any(ds.SOPInstanceUID in path.name for path in case.folder.iterdir())
    assert {ds.Manufacturer for ds in case.objects("RT")} == {VENDORS[vendor].manufacturer}
    assert {ds.Manufacturer for ds in case.objects("CT")} == {"MQI SAMPLE"}


@pytest.mark.parametrize("vendor", VENDORS)
def test_ct_slices_are_not_quite_evenly_placed(sent, vendor):
    places = sorted(float(ds.ImagePositionPatient[2]) for ds in sent(vendor).objects("CT"))
    steps = np.diff(places) - TINY.ct.spacing[2]
    assert 0.01 < np.abs(steps).max() < 0.05


def test_what_eclipse_writes_beside_its_dose_is_set_aside(sent):
    case = sent("eclipse-varian")
    reasons = [why for _, why in case.found.aside]
    assert sorted(reasons) == [
        "DoseSummationType (3004,000A) is MULTI_PLAN",
        "DoseType (3004,0004) is ERROR",
    ]
    doses = case.objects("RTDOSE")
    assert {ds.BitsAllocated for ds in doses} == {32}
    assert {ds.DoseType for ds in doses} == {"EFFECTIVE", "ERROR"}


def test_eclipse_writes_weights_that_are_not_mu_and_many_private_groups(sent):
    plan = sent("eclipse-varian").plan
    metersets = {r.ReferencedBeamNumber: r.BeamMeterset for r in plan.FractionGroupSequence[0].ReferencedBeamSequence}
    for beam in plan.IonBeamSequence:
        assert beam.FinalCumulativeMetersetWeight != metersets[beam.BeamNumber]
        assert all("ScanSpotMetersetWeights" in point for point in beam.IonControlPointSequence)
    creators = {e.value for e in plan.iterall() if e.tag.is_private_creator}
    assert creators == {"IMPAC", *(f"Varian Medical Systems VISION {group}" for group in ("3249", "3253", "3267"))}


def test_hitachi_paints_layers_twice_and_that_does_not_double_the_dose(sent):
    case = sent("hitachi")
    (beam, *_) = case.plan.IonBeamSequence
    assert (beam.ScanMode, beam.ModulatedScanModeType) == ("MODULATED_SPEC", "STATIONARY")
    assert {p.NumberOfPaintings for p in beam.IonControlPointSequence} == {2}


def test_opentps_has_single_control_points_and_leaves_the_position_to_the_ct(sent):
    case = sent("opentps")
    plan = case.plan
    assert {setup.PatientPosition for setup in plan.PatientSetupSequence} == {""}
    for beam, meant in zip(plan.IonBeamSequence, TINY.beams(), strict=True):
        assert len(beam.IonControlPointSequence) == len(meant.layers)
        assert beam.IonControlPointSequence[0].RangeShifterSettingsSequence[0].RangeShifterSetting == "OUT"
    path = next(path for path in case.folder.iterdir() if path.name.startswith("RTPLAN"))
    assert {beam.position for beam in sound_plan(path).beams} == {""}
    assert [beam.own_number for beam in sound_plan(path).beams] == [0, 1]


def test_the_same_arguments_give_the_same_bytes_and_another_seed_other_uids():
    one, two = (sample_files("pass", "tiny", seed, "eclipse-varian") for seed in (1, 2))
    assert one == sample_files("pass", "tiny", 1, "eclipse-varian")
    assert not set(one) & set(two)


def test_no_two_vendors_write_the_same_object(sent):
    written = [ds.SOPInstanceUID for vendor in VENDORS for ds in sent(vendor).objects("")]
    assert len(written) == len(set(written))


@pytest.mark.parametrize("kind", seldom(sorted(COMBINED), often=["range-error", "sum-only"]))
def test_each_kind_that_may_be_combined_can_be_written(kind):
    assert sample_files(kind, "tiny", 1, "opentps") != sample_files(kind, "tiny")


@pytest.mark.parametrize(("kind", "vendor"), [("carbon", "hitachi"), ("pass", "nobody")])
def test_an_unknown_vendor_or_a_kind_without_its_form_is_answered_with_the_choices(kind, vendor):
    assert set(KINDS) > COMBINED
    with pytest.raises(ValueError, match=r"choose from: .*(fraction-dose|eclipse-varian)"):
        sample_files(kind, "tiny", 1, vendor)


def test_a_size_without_a_planned_dose_is_answered_with_the_choices():
    with pytest.raises(ValueError, match="vendor 'raystation' has no size 'standard'; choose from: tiny"):
        sample_files("pass", "standard", 1, "raystation")
