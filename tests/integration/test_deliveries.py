"""Deliveries that arrive in a folder end at their plan and fraction, in whatever order they come, or are refused."""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import yaml
from pypdf import PdfReader
from tests.delivered import plan_bytes, records, write
from tests.spooled import shut

from mqi_communicator.app import build
from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Kind, Manifest, Status, StoredFile, WorkItem
from mqi_communicator.case.signing import SignRequest
from mqi_communicator.config import load
from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample_case import encode
from mqi_communicator.demo.sample_logs import CALIBRATION, write_logs
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.steps.admit import register
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.trend import fraction_trend_of, trends
from mqi_communicator.flow.view import view_all
from mqi_communicator.intake.spooling import content_of, lineage_of, write_manifest
from mqi_communicator.store import cases, orders, work_items
from mqi_communicator.store.worklist import WorklistQuery, worklist
from mqi_communicator.web.layer_map import read_map

PLAN = "planplan2345"


class InThisProcess:
    """Runs the functions of workers here: a process for each costs a second."""

    def warm_up(self):
        """Nothing to do."""

    async def run(self, work, *args, **more):
        return work(*args, **more)

    async def run_within(self, _limit, work, *args, **more):
        return work(*args, **more)


class Site:
    """A communicator with a folder of deliveries; its plans are held, so that no host is needed."""

    def __init__(self, folder, *, draw=False, compute_dose=False):
        self.folder = folder
        self.arrived = folder / "deliveries"
        for name in ("watch", "deliveries"):
            (folder / name).mkdir(exist_ok=True)
        names = ("watch", "deliveries", "workspace", "results", "remote")
        settings = {
            "paths": {name: str(folder / name) for name in names},
            "local": {},
            "engine": {"kind": "mcsquare", "home": str(folder)},
            "intake": {"settle_s": 0, "patience_s": 0},
            "report": {"draw": draw},
            "judgement": {"delivery": {"compute_dose": compute_dose}},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        self.app = build(load(folder / "config.yaml"))
        self.tools = replace(self.app.tools, workers=InThisProcess(), calibrations={"MQI-DEMO": CALIBRATION})
        self.driver = Driver(self.tools, self.app.config.retry, lambda _event: None)

    def read(self, ask, *args, **more):
        return self.app.database.read_now(ask, *args, **more)

    def admit(self, key=PLAN, seen=1.0, **changed):
        """A plan as admission leaves it, with these elements changed; returns it as read."""
        data = pydicom.dcmread(io.BytesIO(plan_bytes()))
        for name, value in changed.items():
            setattr(data, name, value)
        spool = self.tools.spool(key)
        spool.case.mkdir(parents=True)
        (spool.case / "0001.dcm").write_bytes(encode(data))
        sha256 = hashlib.sha256((spool.case / "0001.dcm").read_bytes()).hexdigest()
        file = StoredFile("0001.dcm", sha256, 1, Kind.PLAN, data.SOPInstanceUID, "RP.dcm")
        identity = CaseIdentity(data.PatientID, "a label", "MQI-DEMO")
        lineage = lineage_of(str(data.SOPInstanceUID))
        manifest = Manifest(content_of([file]), lineage, ((1, "1"), (2, "2")), (file,), identity=identity)
        write_manifest(spool.manifest, manifest)
        case = cases.Case(key, self.folder / "watch" / key, seen, "f", rank=seen)
        write_origin(spool.origin, case)

        def add(connection):
            cases.add(connection, case)
            item = WorkItem(key, CASE_ITEM, "prepare", status=Status.HELD)
            work_items.add(connection, item, Event(seen, key, CASE_ITEM, "case.seen"))
            register(connection, key, manifest, seen)

        self.app.database.write_now(add)
        return sound_plan(spool.case / "0001.dcm")

    async def deliver(self, name, data):
        """Records arrive in a folder, and everything that can happen happens."""
        (self.arrived / name).mkdir(exist_ok=True)
        write(self.arrived / name, data)
        await self.scan()

    async def scan(self):
        await register_arrivals(sorted(self.arrived.iterdir()), self.tools, CaseKind.DELIVERY)
        await self.settle()

    async def settle(self):
        self.app.database.write_now(work_items.wake_all, self.tools.clock())
        async with asyncio.timeout(60):
            while True:
                if not self.driver.under_way:
                    self.driver.wake()  # what is due starts in this tick
                await self.driver.tick()
                if not self.driver.under_way and await self.driver.idle_reason():
                    return

    async def order(self, key, order, detail=""):
        self.app.database.write_now(
            orders.add, at=self.tools.clock(), case=key, order=order, who="me", why="because", detail=detail, beam=0
        )
        await self.settle()

    def views(self, kind):
        found = self.read(view_all, self.tools.clock())
        return sorted((one for one in found if one.kind == kind), key=lambda one: (one.seen, one.fraction))

    def fractions(self):
        return {(one.parent, one.fraction): one.verdict for one in self.views(CaseKind.FRACTION)}


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await shut(made.app)


async def test_a_delivery_waits_for_its_plan_and_is_judged_when_it_is_admitted(site):
    plan = site.admit("otherplan234", SOPInstanceUID="1.2.3.4")
    plan = replace(plan, sop_instance_uid=str(pydicom.dcmread(io.BytesIO(plan_bytes())).SOPInstanceUID))
    await site.deliver("first", records(plan))
    (waiting,) = site.views(CaseKind.DELIVERY)
    assert (waiting.step, waiting.status, waiting.state) == ("join", "waiting", "waiting")
    assert waiting.why.startswith("waits for its plan, which is not admitted")
    assert not site.fractions()
    site.admit()
    await site.settle()
    (joined,) = site.views(CaseKind.DELIVERY)
    assert (joined.status, joined.parent, joined.why) == ("done", PLAN, f"joined to case {PLAN}: fraction 1")
    (fraction,) = site.views(CaseKind.FRACTION)
    assert (fraction.verdict, fraction.state, fraction.step, fraction.status) == ("pass", "to_review", "tidy", "done")
    results = site.folder / "results" / fraction.case
    document = json.loads((results / "delivery.json").read_text())
    assert (document["case"], document["word"], document["fractions"][0]["label"]) == (PLAN, "pass", "fraction 1")
    manifest = json.loads((results / "manifest.json").read_text())
    assert [one["stored"] for one in manifest["inputs"]] == sorted((f"{PLAN}/0001.dcm", f"{joined.case}/0001.dcm"))
    assert "MQI-SAMPLE" not in (results / "events.jsonl").read_text()
    assert [case.key for case in site.read(worklist, WorklistQuery(), 9)] == [fraction.case]
    request = (
        "accept",
        1,
        "ann",
        "Ann Example",
        "Physicist",
        "password",
        "dashboard",
        digest_of(results / "manifest.json"),
    )
    await site.order(fraction.case, "sign", SignRequest(*request).text())
    assert site.views(CaseKind.FRACTION)[0].signature == "signed"
    signature = json.loads((results / "signature.json").read_text())
    assert (signature["verdict"], signature["digests"]["delivery.json"]) == (
        "pass",
        digest_of(results / "delivery.json"),
    )
    assert site.read(worklist, WorklistQuery(), 9) == []


async def test_a_plan_wakes_only_the_deliveries_of_its_patient(site):
    """Many deliveries may wait for plans that never come: each look at one costs a worker process."""
    plan = site.admit("otherplan234", SOPInstanceUID="1.2.3.4")
    plan = replace(plan, sop_instance_uid=str(pydicom.dcmread(io.BytesIO(plan_bytes())).SOPInstanceUID))
    await site.deliver("mine", records(plan))
    (foreign,) = records(plan, seed=2)
    foreign.PatientID = "SOMEBODY-ELSE"
    await site.deliver("foreign", [foreign])
    mine, other = site.views(CaseKind.DELIVERY)
    assert {mine.status, other.status} == {"waiting"}
    site.admit()
    now = site.tools.clock()
    assert site.read(work_items.get, mine.case).due <= now
    assert site.read(work_items.get, other.case).due > now + 3000
    await site.settle()  # an hour later
    assert "of another patient" in site.views(CaseKind.DELIVERY)[1].why


async def test_fractions_in_one_folder_end_apart_and_a_late_part_reopens_its_own(site):
    plan = site.admit()
    first, late = records(plan, "resumed", 2)
    await site.deliver("week", [*records(plan, fraction=3), first, *records(plan, fraction=1)])
    assert site.fractions() == {
        (PLAN, "fraction 1"): "pass",
        (PLAN, "fraction 2"): "not_judged",
        (PLAN, "fraction 3"): "pass",
    }
    before = {one.fraction: one for one in site.views(CaseKind.FRACTION)}
    await site.deliver("rest", [late])
    after = {one.fraction: one for one in site.views(CaseKind.FRACTION)}
    assert after["fraction 2"].verdict == "review"
    assert after["fraction 2"].results == before["fraction 2"].results + "-judged-2"
    first_results = site.folder / "results" / before["fraction 2"].case
    assert json.loads((first_results / "delivery.json").read_text())["word"] == "not_judged"
    assert (after["fraction 1"], after["fraction 3"]) == (before["fraction 1"], before["fraction 3"])


async def test_a_repeated_fraction_fails_and_a_copy_counts_once(site):
    plan = site.admit()
    first, again = records(plan, "repeated")
    await site.deliver("one", [first])
    await site.deliver("copy", [first])
    assert site.views(CaseKind.DELIVERY)[1].same_as == site.views(CaseKind.DELIVERY)[0].case
    assert site.fractions() == {(PLAN, "fraction 1"): "pass"}
    await site.deliver("two", [first, again])
    assert site.fractions() == {(PLAN, "fraction 1"): "fail"}


async def test_each_of_two_plans_of_a_patient_gets_its_own(site):
    one = site.admit()
    other = site.admit("otherplan234", seen=2.0, SOPInstanceUID="1.2.3.4")
    await site.deliver("one", records(one))
    await site.deliver("other", records(other, seed=2))
    assert site.fractions() == {(PLAN, "fraction 1"): "pass", ("otherplan234", "fraction 1"): "pass"}
    await site.deliver("both", [*records(one, seed=3), *records(other, seed=4)])
    refused = site.views(CaseKind.DELIVERY)[2]
    assert (refused.status, refused.state) == ("failed", "failed")
    assert refused.why.endswith("the folder has deliveries of several plans")


@pytest.mark.parametrize("wrong", ["patient", "beam"])
async def test_a_refused_delivery_holds_its_fraction_until_it_is_cancelled(site, wrong):
    plan = site.admit()
    await site.deliver("good", [*records(plan), *records(plan, fraction=2)])
    (bad,) = records(plan, "good" if wrong == "patient" else "swapped-beams", seed=2)
    if wrong == "patient":
        bad.PatientID = "SOMEBODY-ELSE"
    await site.deliver("bad", [bad])
    refused = site.views(CaseKind.DELIVERY)[1]
    assert (refused.status, refused.parent) == ("failed", PLAN)
    assert ("of another patient" in refused.why) == (wrong == "patient")
    assert "SOMEBODY-ELSE" not in refused.why
    assert site.fractions() == {(PLAN, "fraction 1"): "not_judged", (PLAN, "fraction 2"): "pass"}
    fraction = next(one for one in site.views(CaseKind.FRACTION) if one.fraction == "fraction 1")
    assert fraction.why.startswith("a record was refused that may be of this fraction")
    await site.order(refused.case, "cancel")
    await site.order(fraction.case, "rejudge")
    assert site.fractions() == {(PLAN, "fraction 1"): "pass", (PLAN, "fraction 2"): "pass"}


async def test_logs_find_the_only_plan_of_the_patient_and_study_that_they_fit(site):
    plan = site.admit()
    site.admit("othersite234", seen=2.0, SOPInstanceUID="1.2.3.5", PatientID="SOMEBODY-ELSE")
    site.admit("otherstudy23", seen=3.0, SOPInstanceUID="1.2.3.6", StudyInstanceUID="1.2.9")
    (session,) = sessions_of(plan, 1)
    write_logs(site.arrived / "log", session, plan)
    await site.scan()
    assert site.fractions() == {(PLAN, "date 20200102"): "pass"}
    site.admit("sameplan2345", seen=4.0, SOPInstanceUID="1.2.3.7")
    (session,) = sessions_of(plan, 2)
    write_logs(site.arrived / "log2", session, plan)
    await site.scan()
    undecided = site.views(CaseKind.DELIVERY)[1]
    assert (undecided.state, undecided.parent) == ("action_required", "")
    assert undecided.why.startswith(f"the logs fit the plans of cases {PLAN} and sameplan2345, and only one")
    assert site.fractions() == {(PLAN, "date 20200102"): "pass"}


async def test_logs_of_a_patient_without_a_plan_wait(site):
    plan = site.admit(PatientID="SOMEBODY-ELSE")
    (session,) = sessions_of(plan, 1)
    write_logs(site.arrived / "log", session, plan)
    await site.scan()
    (waiting,) = site.views(CaseKind.DELIVERY)
    assert waiting.status == "waiting"
    assert waiting.why.startswith("waits for its plan: none of the 0 admitted plans of this patient")
    await site.order(waiting.case, "cancel")
    site.admit("lateplan2345", seen=5.0)
    await site.settle()
    assert site.views(CaseKind.DELIVERY)[0].status == "cancelled"
    assert not site.fractions()


async def test_a_store_that_lost_deliveries_recovers_them_and_judges_nothing_again(site):
    plan = site.admit()
    await site.deliver("one", records(plan))
    before = [(one.case, one.kind, one.parent, one.fraction, one.verdict) for one in site.views(CaseKind.FRACTION)]
    await shut(site.app)
    for path in (site.folder / "workspace").glob("store.sqlite3*"):
        path.unlink()
    restored = Site(site.folder)
    try:
        found = await reconcile(restored.tools)
        assert (found.readmitted, found.delivered) == (3, 1)
        held = restored.read(work_items.get, PLAN)
        restored.app.database.write_now(work_items.move, held, replace(held, status=Status.HELD), None)
        await restored.settle()
        views = restored.views(CaseKind.FRACTION)
        assert [(one.case, one.kind, one.parent, one.fraction, one.verdict) for one in views] == before
        assert sorted(path.name for path in (site.folder / "results").iterdir() if path.is_dir()) == [before[0][0]]
        await restored.scan()  # the folder is known
        assert len(restored.views(CaseKind.DELIVERY)) == 1
    finally:
        await shut(restored.app)


async def test_a_fraction_gets_a_report_that_shows_every_check_and_layer(tmp_path):
    site = Site(tmp_path, draw=True)
    plan = site.admit()
    await site.deliver("monday", records(plan, "shifted-layer"))
    (fraction,) = site.views(CaseKind.FRACTION)
    delivered = Path(fraction.results)
    (judged,) = json.loads((delivered / "delivery.json").read_text())["fractions"]
    page = html.unescape((delivered / "report.html").read_text("utf-8"))
    printed = "".join(sheet.extract_text() for sheet in PdfReader(delivered / "report.pdf").pages)
    for text in (judged["why"], "not of what the patient received", *(check["note"] for check in judged["checks"])):
        assert text in page
    assert "RECORD OF A DELIVERY" in printed
    data = json.loads((delivered / "report.json").read_text("utf-8"))
    layers = [(beam.own_number, layer + 1) for beam in plan.beams for layer in range(len(beam.layers))]
    assert [(one["beam"], one["layer"]) for one in data["layers"]] == layers
    worst = max(data["layers"], key=lambda one: one["mean_offset_mm"])
    (check,) = (
        one for one in judged["checks"] if (one["name"], one["scope"]) == ("layer_position", f"beam {worst['beam']}")
    )
    assert worst["mean_offset_mm"] == pytest.approx(check["value"], abs=0.005)
    maps = read_map((delivered / "report.json").read_bytes())
    assert [(one.beam, one.layers) for one in maps] == [(beam.own_number, len(beam.layers)) for beam in plan.beams]
    words = {
        (one.beam, strip.name, number): cell.word
        for one in maps
        for strip in one.strips
        for number, cell in enumerate(strip.cells, start=1)
    }
    assert {place for place, word in words.items() if word != "pass"} == {
        (worst["beam"], name, 2) for name in ("mean offset", "worst spot", "fluence")
    }
    assert f"layer 2, {worst['energy_mev']:g} MeV: 1.00 mm, review" in {cell.text for cell in maps[0].strips[1].cells}
    assert words[worst["beam"], "mean offset", 2] == check["word"], "a layer is judged as it is shown"
    outputs = {file["name"] for file in json.loads((delivered / "manifest.json").read_text())["outputs"]}
    assert {"report.html", "report.pdf", "report.json", "delivery.json"} <= outputs
    for name in ("report.html", "report.pdf", "report.json"):
        (delivered / name).unlink()
    command = [sys.executable, "-m", "mqi_communicator", "report", fraction.case, "--config"]
    answer = await asyncio.to_thread(
        subprocess.run, [*command, str(tmp_path / "config.yaml")], capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.returncode) == (f"{fraction.case}: generated\n", 0), answer.stderr
    assert judged["why"] in (delivered / "report.html").read_text("utf-8")
    assert json.loads((delivered / "report.json").read_text("utf-8")) == data
    seen = digest_of(delivered / "manifest.json")
    request = SignRequest("accept", 1, "ann", "Ann Example", "Physicist", "password", "dashboard", seen)
    await site.order(fraction.case, "sign", request.text())
    await shut(site.app)
    first, *_, last = PdfReader(delivered / "report-signed.pdf").pages
    assert "ACCEPTED by Ann Example, Physicist" in first.extract_text()
    assert "SIGNATURE OF A DELIVERY RECORD" in last.extract_text()


async def test_the_trend_of_a_machine_has_its_fractions_but_none_that_is_not_judged(site):
    plan = site.admit()
    for number, kind in enumerate(("good", "shifted-layer", "more-in-all", "echo"), start=1):
        await site.deliver(kind, records(plan, kind, number))
    _, (found,) = site.read(trends, "MQI-DEMO", 10, fraction_trend_of)
    verdicts = {one.case: one.verdict for one in site.views(CaseKind.FRACTION) if one.verdict != "not_judged"}
    assert {row.case: row.verdict for row in found.rows} == verdicts
    good, shifted, more = found.rows
    assert abs(good.layer_position) < 0.05
    assert shifted.layer_position == pytest.approx(1.0, abs=0.01)
    assert more.fraction_mu == pytest.approx(3.0, abs=0.01)
    assert more.spot_position == pytest.approx(good.spot_position, abs=0.2)
    assert found.spread("fraction_mu").mean == pytest.approx(more.fraction_mu / 3, abs=0.01)


@pytest.fixture
async def dosed(tmp_path):
    """The same, which computes the dose of each fraction."""
    made = Site(tmp_path, compute_dose=True)
    yield made
    await shut(made.app)


def doses(site):
    """Fraction, state and what supersedes it of each case that computes a dose, and its key."""
    return [(one.fraction, one.status, one.superseded_by, one.case) for one in site.views(CaseKind.DOSE)]


async def test_a_complete_fraction_has_its_dose_computed_once_the_plan_has_one(dosed):
    plan = dosed.admit()
    await dosed.deliver("one", [*records(plan), *records(plan, "unfinished", 2)])
    ((fraction, status, superseded, key),) = doses(dosed)
    assert (fraction, status, superseded) == ("fraction 1", "waiting", "")
    (view,) = dosed.views(CaseKind.DOSE)
    assert view.why.startswith(f"waits for the dose of the plan (case {PLAN})")
    assert (view.parent, view.priority, view.subject) == (PLAN, "background", "dose of fraction 1")
    events = {one.fraction: dosed.read(work_items.events_of, one.case) for one in dosed.views(CaseKind.FRACTION)}
    judged = {label: next(e.facts["dose"] for e in found if "dose" in e.facts) for label, found in events.items()}
    assert judged["fraction 1"] == key
    assert judged["fraction 2"].startswith("not computed: nothing is recorded of beam 2")
    for one in dosed.views(CaseKind.FRACTION):
        await dosed.order(one.case, "rejudge")
    assert [one[3] for one in doses(dosed)] == [key], "the same deliveries have the same dose"
    await dosed.order(key, "cancel")
    await dosed.order(dosed.views(CaseKind.FRACTION)[0].case, "rejudge")
    (_, _, by, _), (_, status, _, again) = doses(dosed)
    assert (by, status) == (again, "waiting"), "one that was cancelled is begun again"


async def test_a_further_delivery_supersedes_the_dose_and_a_refused_one_ends_it(dosed):
    plan = dosed.admit()
    first, again = records(plan, "repeated")
    await dosed.deliver("one", [first])
    await dosed.deliver("two", [again])
    (_, status, superseded, _), (_, now, by, key) = doses(dosed)
    assert (status, superseded) == ("cancelled", key)
    assert (now, by) == ("waiting", "")
    (bad,) = records(plan, "swapped-beams", seed=2)
    await dosed.deliver("bad", [bad])
    (fraction,) = dosed.views(CaseKind.FRACTION)
    assert doses(dosed)[-1] == ("fraction 1", "cancelled", fraction.case, key)
    await dosed.order(dosed.views(CaseKind.DELIVERY)[2].case, "cancel")
    await dosed.order(fraction.case, "rejudge")
    *_, last = doses(dosed)
    assert last[:3] == ("fraction 1", "waiting", "")
    assert last[3] != key


async def test_the_dose_of_a_plan_that_was_cancelled_is_not_awaited(dosed):
    plan = dosed.admit()
    await dosed.deliver("one", records(plan))
    await dosed.order(PLAN, "cancel")
    await dosed.settle()
    (view,) = dosed.views(CaseKind.DOSE)
    assert (view.status, view.step) == ("failed", "reconstruct")
    assert f"the plan of case {PLAN} has no dose: the case is cancelled" in view.why
    assert view.advice == f"mqi retry {PLAN}, then mqi retry this case"


async def test_a_store_that_lost_a_dose_begins_it_again_under_its_key(dosed):
    plan = dosed.admit()
    await dosed.deliver("one", records(plan))
    before = doses(dosed)
    await shut(dosed.app)
    for path in (dosed.folder / "workspace").glob("store.sqlite3*"):
        path.unlink()
    restored = Site(dosed.folder, compute_dose=True)
    try:
        await reconcile(restored.tools)
        held = restored.read(work_items.get, PLAN)
        restored.app.database.write_now(work_items.move, held, replace(held, status=Status.HELD), None)
        await restored.settle()
        assert doses(restored) == before
        (view,) = restored.views(CaseKind.DOSE)
        assert view.machine == "MQI-DEMO"
        for one in restored.views(CaseKind.FRACTION):
            await restored.order(one.case, "rejudge")
        assert doses(restored) == before
    finally:
        await shut(restored.app)
