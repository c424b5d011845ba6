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

from mqi_communicator.app import build_engine
from mqi_communicator.config import Config, load
from mqi_communicator.demo.host import PrivateHost
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
    meant = {tuple(layer.energy for layer in beam.layers): beam.meterset for beam in TINY.beams()}
    found = {energies(text): mu(text) for text in sent(vendor).fields()}
    assert found == pytest.approx(meant, rel=1e-5)


def energies(text: str) -> tuple[float, ...]:
    """Those of the layers of a field in the engine's plan, in MeV."""
    return tuple(float(energy) for energy in re.findall(r"####Energy \(MeV\)\n(\S+)", text))


def mu(text: str) -> float:
    """The sum over the spots of a field in the engine's plan."""
    rows = re.findall(r"^-?[\d.]+ -?[\d.]+ ([\d.]+)$", text.partition("#SPOTS-DESCRIPTION")[2], re.MULTILINE)
    return sum(float(row) for row in rows)


@pytest.mark.parametrize("vendor", VENDORS)
def test_its_objects_are_made_by_the_vendor_and_its_patient_by_nobody(sent, vendor):
    case = sent(vendor)
    for ds in (*case.objects("RT"), *case.objects("CT")):
        assert str(ds.PatientName) == "MQI^SAMPLE"
        assert ds.file_meta.TransferSyntaxUID.is_implicit_VR
        assert ds.SOPInstanceUID in {
            path.stem.partition("_")[2] or path.stem.partition(".")[2] for path in case.folder.iterdir()
        }
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


@pytest.mark.parametrize("kind", sorted(COMBINED))
def test_each_kind_that_may_be_combined_can_be_written(kind):
    assert sample_files(kind, "tiny", 1, "opentps") != sample_files(kind, "tiny")


@pytest.mark.parametrize(("kind", "vendor"), [("carbon", "hitachi"), ("pass", "nobody")])
def test_an_unknown_vendor_or_a_kind_without_its_form_is_answered_with_the_choices(kind, vendor):
    assert set(KINDS) > COMBINED
    with pytest.raises(ValueError, match=r"choose from: .*(fraction-dose|eclipse-varian)"):
        sample_files(kind, "tiny", 1, vendor)
