"""The dose of a fraction, computed from what was recorded, is compared with the recalculated dose of its plan."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pydicom
import pytest
from pypdf import PdfReader
from tests.delivered import records, write
from tests.judged import CONVENTIONS, KnownCase, KnownDose, judged

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.case.signing import SignRequest
from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample_logs import CALIBRATION, write_logs
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Medium
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.beam import keep_beam_dose
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.engine_input import delivered_spots, read_plan
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.flow.tasks.judge import judge_case
from mqi_communicator.flow.tasks.manifest import deliver_case
from mqi_communicator.flow.tasks.reconstruction import reconstruct_case
from mqi_communicator.flow.tasks.report import prepare_report
from mqi_communicator.flow.tasks.sign import sign_results
from mqi_communicator.flow.tasks.stored_dose import open_dose
from mqi_communicator.intake.deliveries import copy_delivery, examine_delivery
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.report.options import ReportOptions

OWN = "dosecase2345"
PER_FRACTION = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.FRACTION)


@dataclass(frozen=True)
class DoseOfSpots(KnownDose):
    """An engine whose dose follows the MU and the mean position of the spots that it was given."""

    planned: Any = None  # the plan that the known dose is of

    def case(self, prepared):
        return OfSpots(self, prepared)


class OfSpots(KnownCase):
    def read_dose(self, number, products, log):
        dose = super().read_dose(number, products, log)
        own, planned = self.prepared.beam(number), next(b for b in self.engine.planned.beams if b.number == number)
        return replace(dose, gy=dose.gy * np.float32(mu_of(own) / mu_of(planned)))


def mu_of(beam):
    return sum(float(layer.weights.sum()) for layer in beam.layers) * beam.mu_per_weight


class Case:
    """A plan with its dose, and the case that computes the dose of its first fraction."""

    def __init__(self, folder, *, noise=0.004):
        self.of_plan = judged(folder / "plan", noise=noise)
        (path,) = (self.of_plan.spool.case / one.stored for one in self.manifest.of(Kind.PLAN))
        self.plan = sound_plan(path)
        self.noise = noise
        self.folder = folder
        self.spool = Spool(folder / "spool" / OWN)
        self.tokens = {job.beam: job.token for job in self.of_plan.record.runs}

    @property
    def manifest(self):
        return load_manifest(self.of_plan.spool.manifest)

    @property
    def own_tokens(self):
        return {number: f"{OWN}-b{number}-r1" for number in self.tokens}

    def preparer(self, **changed):
        engine: Any = DoseOfSpots("pass", "tiny", self.noise, planned=self.plan, **changed)
        return Preparer(engine, PreparationOptions())

    def deliver(self, kind="good"):
        """A delivery as `receive` leaves it in the spool."""
        arrived, spool = self.folder / "arrived", Spool(self.folder / "spool" / "delivery2345")
        arrived.mkdir()
        write(arrived, records(self.plan, kind))
        found = examine_delivery(arrived, IntakeOptions(), still_for=1e6)
        copy_delivery(arrived, spool.case, found)
        return FractionSources(self.of_plan.spool, (spool,), 0, {})

    def deliver_logs(self):
        """The same, as logs that were read with a calibration that nobody commissioned."""
        arrived, spool = self.folder / "arrived", Spool(self.folder / "spool" / "delivery2345")
        (session,) = sessions_of(self.plan, 1)
        write_logs(arrived, session, self.plan)
        copy_delivery(arrived, spool.case, examine_delivery(arrived, IntakeOptions(), still_for=1e6))
        open_calibration = CALIBRATION.model_copy(update={"commissioned_by": "", "commissioned_on": None})
        return FractionSources(self.of_plan.spool, (spool,), 0, {"MQI-DEMO": open_calibration})

    def reconstruct(self, sources):
        self.spool.root.mkdir(parents=True, exist_ok=True)
        label = "date 20200102" if sources.calibrations else "fraction 1"
        return reconstruct_case(self.spool, label, sources, self.tokens, "known", self.of_plan.record.basis)

    def compute(self, **changed):
        """What jobs, `verify` and `compare` do; returns verdict and cause."""
        preparer = self.preparer(**changed)
        self.spool.recipe.write_text(json.dumps(preparer.engine.recipe()))
        for number, token in self.own_tokens.items():
            self.spool.back(token).mkdir(parents=True)
            (self.spool.back(token) / "log").write_text("")
            keep_beam_dose(self.spool, number, token, preparer, {})
        word, why, _ = judge_case(
            self.spool, self.own_tokens, preparer, self.of_plan.judgement, {}, self.of_plan.record.basis
        )
        return word, why

    def verdict(self):
        return json.loads((self.spool.results / "verdict.json").read_text())

    def checks(self, name):
        return [one for one in self.verdict()["checks"] if one["name"] == name]


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def test_the_case_has_the_recorded_spots_and_the_dose_of_the_plan(case):
    facts = case.reconstruct(case.deliver("more-in-all"))
    (original,) = (one for one in read_records(case) if one)
    spots, mu = original
    assert facts == {"fraction": "fraction 1", "deliveries": 1, "spots": spots, "mu": pytest.approx(mu, abs=1e-3)}
    made = read_plan(case.spool)
    assert sum(map(mu_of, made.beams)) == pytest.approx(mu, rel=1e-6)
    assert sum(map(mu_of, made.beams)) == pytest.approx(1.03 * sum(map(mu_of, case.plan.beams)), rel=2e-3)
    manifest = load_manifest(case.spool.manifest)
    for kind in (Kind.CT, Kind.PLAN, Kind.STRUCTURES):
        assert manifest.of(kind), kind
        for one in manifest.of(kind):
            assert (case.spool.case / one.stored).samefile(case.of_plan.spool.case / one.stored)
    doses = manifest.of(Kind.DOSE)
    assert len(doses) == len(case.plan.beams)
    for one, (number, token) in zip(doses, case.tokens.items(), strict=True):
        kept = open_dose(case.of_plan.spool, number, token).dose
        written = read_rtdose(case.spool.case / one.stored, PER_FRACTION)
        assert written.beam_number == next(b.own_number for b in case.plan.beams if b.number == number)
        assert float(written.gy.max()) == pytest.approx(float(kept.gy.max()), rel=1e-4)
        assert float(written.gy.sum(dtype=float)) == pytest.approx(float(kept.gy.sum(dtype=float)), rel=1e-4)
    assert all(not one.original for one in manifest.files), "no name of a file that a patient may be named in"


def read_records(case):
    """Spots and MU of the fraction, read with pydicom alone."""
    spots, mu = 0, 0.0
    for path in sorted((case.folder / "arrived").iterdir()):
        for beam in pydicom.dcmread(path).TreatmentSessionIonBeamSequence:
            for point in beam.IonControlPointDeliverySequence:
                values = np.atleast_1d(point.get("ScanSpotMetersetsDelivered", []))
                spots, mu = spots + int((values > 0).sum()), mu + float(np.sum(values, dtype=float))
    return [(spots, mu)]


def test_a_fraction_as_planned_passes(case):
    case.reconstruct(case.deliver())
    assert case.compute()[0] == "pass", case.verdict()["why"]
    verdict = case.verdict()
    assert verdict["fraction"] == "fraction 1"
    assert verdict["question"].startswith("Does the dose that is computed from what the machine recorded")
    assert {one["scope"] for one in case.checks("noise_of_both")} == {"plan"}
    (made,) = case.checks("reconstruction")
    assert made["note"].startswith("the dose of fraction 1 as recorded, from ")
    assert case.checks("dose_scale")[0]["value"] == pytest.approx(1.0, abs=2e-3)


def test_three_percent_more_mu_are_three_percent_more_dose(case):
    case.reconstruct(case.deliver("more-in-all"))
    word, why = case.compute()
    assert word in ("review", "fail")
    assert "higher than planned" in why
    assert case.checks("dose_scale")[0]["value"] == pytest.approx(1.03, abs=3e-3)


def test_it_needs_no_planned_dose_and_no_convention_of_the_planning_system(case):
    case.reconstruct(case.deliver())
    assert delivered_spots(case.spool).conventions(case.plan) != CONVENTIONS
    case.compute()
    (dose_type,) = case.checks("dose_meaning")
    assert dose_type["word"] == "pass"
    assert "fraction" in dose_type["note"]


@pytest.mark.parametrize("kind", ["unfinished", "other-plan"])
def test_an_incomplete_fraction_has_no_dose(case, kind):
    with pytest.raises(Permanent) as refused:
        case.reconstruct(case.deliver(kind))
    assert str(refused.value.reason).startswith(
        "the dose of fraction 1 cannot be computed: nothing is recorded of beam 2"
        if kind == "unfinished"
        else "nothing is recorded of this fraction any more"
    )
    assert not case.spool.manifest.exists()


def test_a_plan_whose_dose_was_removed_from_the_spool_is_named(case):
    (case.of_plan.spool.dose / "beam-2.npy").unlink()
    with pytest.raises(Permanent, match="the dose of beam 2 of the plan is not in the spool any more"):
        case.reconstruct(case.deliver())


def test_a_refused_delivery_leaves_the_fraction_without_a_dose(case):
    with pytest.raises(Permanent, match="a delivery that may be of it was refused"):
        case.reconstruct(replace(case.deliver(), refused=1))


def test_two_noisy_doses_are_undecided_however_well_they_agree(tmp_path):
    case = Case(tmp_path, noise=0.014)
    case.reconstruct(case.deliver())
    word, _ = case.compute()
    assert word == "undecided"
    (noisy,) = case.checks("noise_of_both")
    (own,) = case.checks("uncertainty")
    assert noisy["word"] == "undecided"
    assert noisy["value"] == pytest.approx(own["value"] * 2**0.5, rel=0.02)
    assert noisy["limit"].startswith("<= 1 %")


def test_a_dose_of_another_beam_model_is_not_compared_with_that_of_the_plan(case):
    case.reconstruct(case.deliver())
    word, why = case.compute(model="sha256 bbbb")
    assert word == "not_judged"
    assert "the dose of the plan was computed with other settings (beam_model/MQI-DEMO)" in why


def test_a_record_that_repeats_the_plan_gives_no_verdict_on_its_dose(case):
    case.reconstruct(case.deliver("echo"))
    word, why = case.compute()
    assert word == "not_judged"
    assert "the record of beam 1 repeats the plan in every spot, so it is no measurement" in why


def test_logs_of_an_uncommissioned_calibration_give_no_verdict_on_the_dose(case):
    case.reconstruct(case.deliver_logs())
    word, why = case.compute()
    assert word == "not_judged"
    assert "commissioned_by" in why


def test_spots_that_have_changed_in_the_spool_are_not_computed(case):
    case.reconstruct(case.deliver())
    path = case.spool.case / "spots.npz"
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    with pytest.raises(Permanent, match=r"file spots.npz in the spool has digest"):
        read_plan(case.spool)


def test_a_case_that_was_interrupted_while_it_was_made_is_made_again(case, monkeypatch):
    sources = case.deliver()
    with monkeypatch.context() as broken:
        broken.setattr("mqi_communicator.flow.tasks.reconstruction.write_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            case.reconstruct(sources)
    assert not case.spool.manifest.exists()
    case.reconstruct(sources)
    assert case.compute()[0] == "pass"


def stop(*_):
    raise KeyboardInterrupt


def test_its_report_and_its_signature_say_what_they_are_of(case, tmp_path):
    case.reconstruct(case.deliver())
    case.compute()
    prepare_report(case.spool, case.of_plan.record, case.of_plan.judgement, {}, ReportOptions(gamma=[]))
    page = html.unescape((case.spool.results / "report.html").read_text("utf-8"))
    assert "Dose of fraction 1 as recorded" in page
    assert "DOSE OF A RECORDED FRACTION" in page
    assert "the recalculated dose of the plan" in page
    assert "RECALCULATION OF A PLAN" not in page
    results = tmp_path / "results"
    results.mkdir()
    delivered = deliver_case(case.spool, case.of_plan.record, results)
    seen = digest_of(delivered / "manifest.json")
    request = SignRequest("accept", 1, "ann", "Ann Example", "Physicist", "password", "dashboard", seen)
    sign_results(case.spool, delivered, request, "", 1e9, second=False)
    first, *_, last = (sheet.extract_text() for sheet in PdfReader(delivered / "report-signed.pdf").pages)
    assert "DOSE OF A RECORDED FRACTION: of what the machine recorded, not of what the patient received." in first
    assert "SIGNATURE OF THE DOSE OF A RECORDED FRACTION" in last
