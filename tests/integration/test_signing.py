"""Signing: one signature per delivery, or two, never changing the verdict, written by the communicator alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from io import BytesIO

import pytest
from pypdf import PdfReader
from tests.judged import CONVENTIONS, KEY
from tests.signed import SigningSite, add_case, delivered_case, settings, store

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Status
from mqi_communicator.delivery.folder import delivered_results
from mqi_communicator.flow.background.checkpoints import verify_chain
from mqi_communicator.flow.tasks.report import redraw_report
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.signature import Decision, needs_reason, overrides
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import audit, cases, orders

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A case whose verdict is not_judged, delivered with its report."""
    folder = tmp_path_factory.mktemp("drawn")
    return delivered_case(folder, "no-dose")


@pytest.fixture
def site(drawn, tmp_path, request):
    """A copy of it in the store of a communicator of its own."""
    case, made = drawn
    shutil.copytree(made, tmp_path / "results" / KEY)
    shutil.copytree(case.spool.root, tmp_path / "workspace/spool" / KEY)
    config = settings(tmp_path, signing={"second": getattr(request, "param", False)})
    with store(config) as database:
        add_case(database, case, tmp_path / "results" / KEY)
    return config, tmp_path / "results" / KEY


@pytest.fixture
async def signing(site):
    made = SigningSite(*site)
    yield made
    await made.shut()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_a_signature_names_the_account_and_the_digests_and_changes_nothing_else(signing):
    before = contents(signing.folder)
    (answer,) = await signing.answered(signing.order(reason="checked with the other engine"))
    assert answer.startswith("accepted by Ann Example, Medical Physicist (ann) at 20")
    (signature,) = signatures_of(signing.folder)
    assert (signature.name, signature.role, signature.account) == ("Ann Example", "Medical Physicist", "ann")
    assert (signature.verdict, signature.overrides, signature.reason) == (
        "not_judged", True, "checked with the other engine",
    )  # fmt: skip
    assert signature.manifest == digest(signing.folder / "manifest.json")
    manifest = json.loads(before["manifest.json"])
    plan = next(file["sha256"] for file in manifest["inputs"] if file["kind"] == "RTPLAN")
    assert signature.digests == {
        "RTPLAN": plan,
        "report.pdf": digest(signing.folder / "report.pdf"),
        "report-signed.pdf": digest(signing.folder / "report-signed.pdf"),
        "verdict.json": digest(signing.folder / "verdict.json"),
    }
    after = contents(signing.folder)
    assert after.keys() - before.keys() == {"signature.json", "report-signed.pdf"}
    assert {name: after[name] for name in before} == before
    assert (signing.case().signature, signing.case().signed_by) == ("signed", "ann")


async def test_the_event_records_who_and_what_and_no_reason(signing):
    (number,) = [signing.order(reason="as agreed with Dr. Roe")]
    await signing.answered(number)
    (event,) = signing.events()
    assert (event.who, event.why) == ("ann (dashboard)", "accepted by ann")
    assert (event.before, event.after) == ("unsigned", "signed")
    assert event.facts["manifest"] == digest(signing.folder / "manifest.json")
    assert event.facts["outputs"]["signature.json"] == digest(signing.folder / "signature.json")
    assert event.facts["outputs"]["report-signed.pdf"] == digest(signing.folder / "report-signed.pdf")
    text = json.dumps(event.facts) + event.why + event.who
    assert "Roe" not in text
    assert "Example" not in text


async def test_the_signed_report_begins_with_the_report_and_shows_the_signature(signing):
    await signing.answered(signing.order(decision="reject", reason="range of beam 2"))
    report, signed = (signing.folder / "report.pdf").read_bytes(), (signing.folder / "report-signed.pdf").read_bytes()
    assert signed.startswith(report)
    pages, plain = PdfReader(BytesIO(signed)).pages, PdfReader(BytesIO(report)).pages
    assert len(pages) == len(plain) + 1
    first, last = pages[0].extract_text(), " ".join(pages[-1].extract_text().split())
    assert "REJECTED by Ann Example, Medical Physicist" in " ".join(first.split())
    for text in (
        "REJECTED",
        "ann, verified by password",
        "range of beam 2",
        KEY,
        digest(signing.folder / "report.pdf"),
    ):
        assert text.replace(" ", "") in last.replace(" ", ""), text
    form = next(page for page in pages if "Signed by hand" in " ".join(page.extract_text().split()))
    assert "REJECTED by Ann Example" in " ".join(form.extract_text().split())


async def test_of_two_at_once_one_wins_and_the_other_is_told_so(signing):
    first, second = signing.order("ann", reason="x1"), signing.order("bob", "reject", reason="x2")
    answers = await signing.answered(first, second)
    assert answers[0].startswith("accepted by Ann Example")
    assert answers[1].startswith("not signed: the results are signed already: accepted by Ann Example")
    assert len(signing.events()) == 1
    assert signing.case().signature == "signed"


async def test_results_that_were_not_shown_are_not_signed(signing):
    (answer,) = await signing.answered(signing.order(reason="seen", seen="0" * 64))
    assert answer == (
        "not signed: these are not the results that were shown -> reload the page and look at the results again"
    )
    assert signatures_of(signing.folder) == ()
    assert not (signing.folder / "report-signed.pdf").exists()
    assert signing.case().signature == "unsigned"


async def test_a_missing_reason_is_refused(signing):
    (answer,) = await signing.answered(signing.order(reason=" "))
    assert answer.startswith("not signed: to accept a verdict not_judged needs a reason")


async def test_a_case_that_is_judged_again_is_not_signed(signing):
    """Orders for one case are applied in their order: the judgement that was ordered first has begun."""
    rejudge = signing.app.database.write_now(
        orders.add, at=1.0, case=KEY, order="rejudge", who="otto", why="other limits"
    )
    (answer, refused) = await signing.answered(rejudge, signing.order(reason="seen"))
    assert answer == "judged again with the current limits"
    assert refused.startswith("not signed: the case is computed or judged again: it is")
    assert signatures_of(signing.folder) == ()
    assert signing.case().signature == ""


async def test_a_judgement_ordered_later_waits_for_the_signature(signing):
    sign = signing.order(reason="seen")
    rejudge = signing.app.database.write_now(
        orders.add, at=1.0, case=KEY, order="rejudge", who="otto", why="other limits"
    )
    (answer, judged) = await signing.answered(sign, rejudge)
    assert signing.get(sign).applied <= signing.get(rejudge).applied
    assert answer.startswith("accepted by")
    assert judged == "judged again with the current limits"
    assert signing.case().signature == "", "the signature is that of the earlier judgement"
    assert len(signatures_of(signing.folder)) == 1


async def test_once_does_not_end_before_an_order_that_no_signature_holds_back(signing):
    assert await signing.app.driver.idle_reason() == "quiet"
    rejudge = signing.app.database.write_now(
        orders.add, at=1.0, case=KEY, order="rejudge", who="otto", why="other limits"
    )
    assert await signing.app.driver.idle_reason() == ""
    await signing.answered(rejudge)


async def test_a_plan_with_a_newer_revision_is_not_signed(signing):
    signing.app.database.write_now(cases.change, KEY, superseded_by="newer1234567")
    (answer,) = await signing.answered(signing.order(reason="seen"))
    assert answer == "not signed: the plan has a newer revision, case newer1234567 -> sign that one"


async def test_changed_results_cannot_be_signed_and_later_changes_are_detected(signing):
    report = signing.folder / "report.html"
    whole = report.read_bytes()
    report.write_bytes(whole + b" ")
    (answer,) = await signing.answered(signing.order(reason="seen"))
    assert answer.startswith("not signed: the delivered report.html was changed after its delivery")
    report.write_bytes(whole)
    await signing.answered(signing.order(reason="seen"))
    for name in ("manifest.json", "report-signed.pdf"):
        path = signing.folder / name
        path.chmod(0o600)
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        with pytest.raises(Permanent, match="not of these results"):
            signatures_of(signing.folder)
        path.write_bytes(kept)
    (signing.folder / "report-signed.pdf").unlink()
    with pytest.raises(Permanent, match="not of these results"):
        signatures_of(signing.folder)


async def test_a_signed_version_is_locked_and_stays_a_valid_delivery(signing, drawn):
    case, _ = drawn
    await signing.answered(signing.order(reason="seen"))
    with pytest.raises(Permanent, match="the results are signed: accepted by Ann Example"):
        redraw_report(signing.app.tools.spool(KEY), signing.folder, case.judgement, CONVENTIONS, ReportOptions())
    assert not [path for path in signing.folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o222]
    assert delivered_results(signing.folder.parent, KEY) is not None
    found = signing.app.database.read_now(verify_chain, None)
    assert not [line for line in (*found.wrong, *found.notes) if line.startswith(f"case {KEY}:")]
    # The results were made with another store's events, so only the links between this store's own can be compared.
    assert not signing.app.database.read_now(audit.verify, []).findings


@pytest.mark.parametrize("site", [True], indirect=True)
async def test_a_second_signature_is_that_of_another_person(signing):
    await signing.answered(signing.order("ann", reason="seen"))
    assert signing.case().signature == "second_due"
    same, stale, other = await signing.answered(
        signing.order("ann", reason="again", number=2),
        signing.order("bob", reason="did not see that ann has signed"),
        signing.order("bob", reason="seen too", number=2),
    )
    assert same.startswith("not signed: the second signature must be that of another person")
    assert stale.startswith("not signed: the results are signed already: accepted by Ann Example")
    assert other.startswith("accepted by Bob Beispiel, Senior Physicist (bob)")
    assert (signing.case().signature, signing.case().signed_by) == ("signed", "bob")
    first, second = signatures_of(signing.folder)
    assert second.digests["signature.json"] == digest(signing.folder / "signature.json")
    once, twice = ((signing.folder / name).read_bytes() for name in ("report-signed.pdf", "report-signed-2.pdf"))
    assert twice.startswith(once)
    assert first.digests["report-signed.pdf"] == hashlib.sha256(once).hexdigest()
    text = " ".join(PdfReader(BytesIO(twice)).pages[0].extract_text().split())
    assert "Ann Example" in text
    assert "Bob Beispiel" in text
    assert [event.facts["number"] for event in signing.events()] == [1, 2]


@pytest.mark.parametrize("site", [True], indirect=True)
async def test_a_rejection_needs_no_second_signature_and_the_second_may_reject(signing):
    await signing.answered(signing.order("ann", reason="seen"))
    await signing.answered(signing.order("bob", "reject", reason="I disagree", number=2))
    assert signing.case().signature == "rejected"


async def test_no_second_signature_unless_the_site_wants_it(signing):
    await signing.answered(signing.order("ann", reason="seen"))
    (answer,) = await signing.answered(signing.order("bob", reason="too", number=2))
    assert answer.startswith("not signed: no second signature is due")


async def test_a_share_that_is_not_mounted_defers_the_signature(signing, monkeypatch):
    monkeypatch.setattr("mqi_communicator.flow.signing.PAUSE_S", 0.1)
    marker = next(signing.folder.parent.glob(".mqi-results*"))
    aside = marker.rename(signing.folder.parent / "aside")
    number = signing.order(reason="seen")
    while not signing.get(number).answer:
        await signing.app.driver.tick()
    assert signing.get(number).applied is None
    assert signing.get(number).answer.startswith("waiting: ")
    aside.rename(marker)
    (answer,) = await signing.answered(number)
    assert answer.startswith("accepted by Ann Example")


async def test_results_without_a_report_are_signed_without_one(tmp_path):
    case, folder = delivered_case(tmp_path, "no-dose", report=False)
    config = settings(tmp_path)
    with store(config) as database:
        add_case(database, case, folder)
    signing = SigningSite(config, folder)
    try:
        await signing.answered(signing.order(reason="seen"))
    finally:
        await signing.shut()
    (signature,) = signatures_of(folder)
    assert set(signature.digests) == {"RTPLAN", "verdict.json"}
    assert not (folder / "report-signed.pdf").exists()


async def test_signing_waits_for_the_last_step_only(signing):
    assert signing.item().status is Status.DONE
    await signing.answered(signing.order(reason="seen"))
    assert signing.item().status is Status.DONE, "signing moves no work item"


@pytest.mark.parametrize("word", CheckOutcome)
def test_only_a_decision_against_the_verdict_overrides_it(word):
    assert overrides(Decision.ACCEPT, word) == (
        word in (CheckOutcome.FAIL, CheckOutcome.UNDECIDED, CheckOutcome.NOT_JUDGED)
    )
    assert overrides(Decision.REJECT, word) == (word is CheckOutcome.PASS)


@pytest.mark.parametrize("word", CheckOutcome)
def test_only_to_accept_a_pass_needs_no_reason(word):
    assert needs_reason(Decision.REJECT, word)
    assert needs_reason(Decision.ACCEPT, word) == (word is not CheckOutcome.PASS)
