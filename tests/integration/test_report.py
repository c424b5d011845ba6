"""Reports of a correct and of wrong samples: required and forbidden contents, and that HTML and PDF agree."""

from __future__ import annotations

import hashlib
import json
import re
import time
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader
from tests.judged import CONVENTIONS, KEY, Judged, judged, renamed
from tests.reported import reported
from tests.seldom import seldom
from tests.viewed import rtdose

from mqi_communicator.case.faults import Permanent
from mqi_communicator.delivery.folder import deliver
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.report import redraw_report
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.volumes import MISSING
from mqi_communicator.results.documents import verdict_of
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.table import value_text

CRITERIA = ["3 %/3 mm", "2 %/2 mm", "3 %/2 mm local"]
KINDS = {
    "pass": ("PASS", ()),
    "range-error": ("FAIL", ("range R80",)),
    "scale-error": ("FAIL", ("dose scale",)),
    "shift-error": ("FAIL", ("position offset",)),
    "sum-only": ("REVIEW", ("beam doses",)),
    "no-dose": ("NOT JUDGED", ()),
}
SHOWN = seldom(KINDS, often=["range-error", "no-dose"])


class Reader(HTMLParser):
    """Tags that open and close in order, every text, every row of cells, every reference."""

    EMPTY = frozenset({"meta", "img", "br", "col", "link", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.refers: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1][-1] += data
        if data.strip() and self.open[-1:] != ["style"]:
            self.texts.append(" ".join(data.split()))


def rows_of(text: str) -> list[list[str]]:
    return Reader(text).rows


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def text_of(pdf: bytes) -> str:
    return squeezed("".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages))


class Reports(dict[str, tuple[Judged, str, bytes]]):
    """Each kind, judged and reported on first use: (the case, HTML, PDF)."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, kind):
        case = judged(self.folder / kind, kind)
        self[kind] = (case, *case.report(gamma=CRITERIA if kind == "range-error" else []))
        return self[kind]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return Reports(tmp_path_factory.mktemp("reports"))


@pytest.mark.parametrize("kind", SHOWN)
def test_it_starts_with_the_statement_the_verdict_and_the_reason(reports, kind):
    case, html, pdf = reports[kind]
    verdict = verdict_of((case.spool.results / "verdict.json").read_bytes())
    texts = Reader(html).texts[1:]  # after the title of the window
    assert "not evidence of delivery" in texts[0]
    assert texts[2:4] == [KINDS[kind][0], verdict.why]
    for page in PdfReader(BytesIO(pdf)).pages:
        assert "not evidence of delivery" in page.extract_text()


@pytest.mark.parametrize("kind", SHOWN)
def test_it_has_every_check_with_value_and_limit_of_the_verdict(reports, kind):
    case, html, _pdf = reports[kind]
    verdict = verdict_of((case.spool.results / "verdict.json").read_bytes())
    rows = rows_of(html)
    for check in verdict.checks:
        outcome = check.outcome.value.replace("_", " ")
        found = [row for row in rows if [row[0], *row[2:5]] == [check.scope, outcome, value_text(check), check.limit]]
        assert found, check
        assert any(row[-1] == check.note for row in found)
    blamed = {row[1] for row in rows if len(row) == 8 and row[2] == "fail"}
    assert set(KINDS[kind][1]) <= blamed | {row[1] for row in rows if len(row) == 8 and row[2] == "review"}


@pytest.mark.parametrize("kind", SHOWN)
def test_the_html_is_well_formed_and_refers_to_nothing_outside(reports, kind):
    _case, html, _pdf = reports[kind]
    read = Reader(html)
    assert read.refers
    assert all(ref.startswith("data:image/png;base64,") for ref in read.refers)
    assert not read.tags & {"script", "link", "iframe", "object", "form", "base"}
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert "://" not in without_pictures
    assert "url(" not in without_pictures


@pytest.mark.parametrize("kind", SHOWN)
def test_the_pdf_has_the_text_of_the_html(reports, kind):
    _case, html, pdf = reports[kind]
    there = text_of(pdf)
    missing = [text for text in Reader(html).texts[1:] if squeezed(text) not in there]
    broken = [text for text in missing if not all(squeezed(word) in there for word in text.split())]
    assert broken == []


@pytest.mark.long
def test_what_was_planned_and_what_was_computed_is_compared_in_numbers(reports):
    _case, html, _pdf = reports["scale-error"]
    rows = rows_of(html)
    target = next(row for row in rows if row[0] == "Target")
    planned, computed = (float(part) for part in target[8].split("|"))
    assert computed / planned == pytest.approx(1 / 1.04, abs=0.004)
    assert float(target[9]) == pytest.approx(computed - planned, abs=0.006)
    maximum = next(row for row in rows if row[0] == "planned maximum")
    assert float(maximum[2]) == pytest.approx(1.04 * float(_point(reports, "pass")[2]), rel=1e-3)


def _point(reports, kind):
    return next(row for row in rows_of(reports[kind][1]) if row[0] == "planned maximum")


def gamma_rows(html):
    """The table of gamma, headings first: scope, rate of each of four criteria, points, mean, maximum."""
    rows = rows_of(html)
    return rows[next(i for i, row in enumerate(rows) if "mean gamma" in row) :]


def test_all_gamma_criteria_are_shown_next_to_the_deciding_one(reports):
    case, html, _pdf = reports["range-error"]
    heads, plan, beam, *_ = gamma_rows(html)
    assert heads[1:5] == [
        "3 %/2 mm, global (deciding)", "3 %/3 mm, global", "2 %/2 mm, global", "3 %/2 mm, local",
    ]  # fmt: skip
    assert (plan[0], beam[0], len(plan)) == ("plan", "beam 1", len(heads))
    rates = [float(cell.split()[0]) for cell in plan[1:5]]
    assert rates[1] >= rates[0] >= rates[2]
    assert rates[0] >= rates[3]
    assert plan[7] == "≥ 2.00"
    verdict = verdict_of((case.spool.results / "verdict.json").read_bytes())
    (decided,) = (check for check in verdict.checks if check.name == "gamma")  # gamma of the beams is not judged there
    assert plan[5] == str(decided.points)


def test_nothing_of_the_patient_is_in_it_unless_the_site_wants_it(tmp_path):
    words = {"patient": "Grimaldi^Ottavia", "patient_id": "ID-990077", "plan": "Grimaldi pelvis", "structure": "PTV"}
    case = judged(tmp_path, "sum-only", change=renamed(**words))
    html, pdf = case.report(identity="none")
    (volumes,) = case.spool.viewer.iterdir()
    for output in (html, text_of(pdf), volumes.read_bytes().decode("latin-1")):
        assert not re.search("grimaldi|ottavia|990077", output, re.IGNORECASE)
        assert "PTV" in output
    assert "pelvis" in html
    assert "pelvis" in text_of(pdf)
    case = judged(tmp_path / "without", "no-dose", change=renamed(**words))  # drawn sooner
    html, pdf = case.report()
    for output in (html, text_of(pdf)):
        assert "ID-990077" in output
        assert not re.search("grimaldi|ottavia", output, re.IGNORECASE)
    for name in ("report.html", "report.pdf"):
        (case.spool.results / name).unlink()
    html, pdf = case.report(identity="name", labels=False)
    for output in (html, text_of(pdf)):
        assert "Grimaldi^Ottavia" in output
        assert "ID-990077" in output
        assert "pelvis" not in output


HOSTILE = {
    "plan": "<i>&amp;'\"",
    "beam": "<script>alert(1)</script>",
    "structure": "$x^2$ 陽子 Ω " + "very_long_" * 5,
}


@pytest.mark.long
def test_hostile_names_are_text_and_too_much_noise_names_the_histories(tmp_path):
    case = judged(tmp_path, noise=0.05, change=renamed(**HOSTILE))
    assert case.word == "undecided"
    html, pdf = case.report(gamma=[], centre="<b>Centre</b>")
    read = Reader(html)
    assert "script" not in read.tags
    assert any("<b>Centre</b>" in text for text in read.texts)
    assert any("<script>alert(1)</script>" in text for text in read.texts)
    assert any("<i>&amp;'\"" in text for text in read.texts)
    assert any(text.startswith("$x^2$ 陽子 Ω") for text in read.texts)
    there = text_of(pdf)
    assert "<script>alert(1)</script>" in there
    assert "[U+967D][U+5B50]Ω" in there
    assert re.search(r"times as many histories are needed: about [\d ]+ histories per beam instead of 200 000", html)


def test_the_volumes_of_the_viewer_are_made_with_it_and_hold_the_delivered_dose(reports):
    case, _html, _pdf = reports["range-error"]
    (made,) = case.spool.viewer.iterdir()
    data = made.read_bytes()
    assert made.name == f"{hashlib.sha256(data).hexdigest()}.bin"
    length = int.from_bytes(data[8:16], "little")
    fields = json.loads(data[16 : 16 + length])
    assert (fields["case"], fields["judgement"]) == (KEY, 1)
    dose = fields["dose"]
    assert (dose["unit"], dose["extent"]) == ("Gy", "whole course, 5 fractions")
    computed = np.frombuffer(
        data, dtype="<u2", count=np.prod(dose["computed"]["shape"]), offset=16 + length + dose["computed"]["at"]
    )
    delivered = rtdose(case.spool.results / "dose/plan.dcm")
    _nz, ny, nx = dose["grid"]["shape"]
    places = [int(place) for place in np.linspace(0, computed.size - 1, 200) if computed[int(place)] != MISSING][:20]
    points = np.array(dose["grid"]["origin"]) + [
        np.array((place % nx, place // nx % ny, place // nx // ny)) * dose["grid"]["spacing"] for place in places
    ]
    assert np.abs(computed[places] * dose["step_gy"] - delivered(points)).max() <= 0.51 * dose["step_gy"]


GOALS = JudgementOptions.model_validate(
    {
        "gamma": {"per_beam": False},
        "goals": {
            "check": "review",
            "structures": {"target": ["D95% >= 90 %", "D2% <= 50 %"], "*": ["Dmean <= 20 Gy"]},
        },
    }
)


@pytest.mark.long
def test_clinical_goals_are_on_the_first_page_and_in_the_verdict(tmp_path):
    case = judged(tmp_path, judgement=GOALS)
    html, pdf = case.report(gamma=[], centre="Clinic A")
    document = json.loads((case.spool.results / "verdict.json").read_bytes())
    of_target = [goal for goal in document["goals"] if goal["goal"] != "Dmean <= 20 Gy"]
    assert [(goal["word"], goal["planned_meets"]) for goal in of_target] == [("met", True), ("not_met", False)]
    assert case.word == "review"
    assert "Target" not in (case.spool.results / "verdict.json").read_text()
    first, second, *_ = PdfReader(BytesIO(pdf)).pages
    for text in ("Target", "D2% <= 50 %", "notmet", "MQI-SAMPLE", "TRUNK10GY", "APPROVED,2020-01-0112:00", "ClinicA"):
        assert squeezed(text) in squeezed(first.extract_text()), text
    for text in ("MU per fraction", "decision (accept or reject)", "clinical goals", "planning system"):
        assert squeezed(text) in squeezed(first.extract_text()), text
    assert "Planandcomputation" in squeezed(second.extract_text())
    assert "not met" in {cell for row in rows_of(html) for cell in row}


def test_the_same_report_is_there_as_data(reports):
    """report.json has the numbers of the report, labels as the report shows them, and every key that a page reads."""
    case, html, _pdf = reports["range-error"]
    text = (case.spool.results / "report.json").read_text("utf-8")
    data, known = json.loads(text), json.loads(reported())
    assert set(data) == set(known)
    assert set(data["dvh"]) == set(known["dvh"])
    assert set(data["gamma"]) == set(known["gamma"])
    assert "MQI^SAMPLE" not in text
    target = next(one for one in data["dvh"]["structures"] if one["name"] == "Target")
    assert set(target) == set(known["dvh"]["structures"][0])
    mean = next(values for name, *values in target["values"] if name == "mean")
    row = next(row for row in rows_of(html) if row[0] == "Target" and len(row) == 12)
    assert row[8] == f"{mean[0]:.2f} | {mean[1]:.2f}"
    assert len(target["planned"]) == len(target["computed"]) == 200
    assert (target["planned"][0], target["planned"][-1]) == (100.0, 0.0)
    step = data["dvh"]["step_gy"]
    assert sum(target["planned"]) * step / 100 - step / 2 == pytest.approx(mean[0], abs=step / 2)
    _heads, plan, *_ = gamma_rows(html)
    assert sum(data["gamma"]["counts"]) == int(plan[5])


@pytest.mark.long
def test_the_summary_is_one_page_and_digests_are_last(tmp_path):
    """However many beams and goals there are, the second page begins with the details."""
    forty = {"structures": {"*": tuple(f"V{gy}Gy <= 50 %" for gy in range(40))}}
    many = GOALS.model_copy(update={"goals": GOALS.goals.model_copy(update=forty)})

    def more_beams(draft):
        beams = draft.object("RP.dcm").IonBeamSequence
        beams[0].BeamName = "a beam with quite a long name that takes two lines, at least"

    _html, pdf = judged(tmp_path, judgement=many, change=more_beams).report(gamma=[])
    pages = [squeezed(page.extract_text()) for page in PdfReader(BytesIO(pdf)).pages]
    assert [number for number, text in enumerate(pages) if "decision(acceptorreject)" in text] == [0]
    assert [number for number, text in enumerate(pages) if "Planandcomputation" in text] == [1]
    assert "moregoals:seethedetails" in pages[0]
    digests = re.findall("[0-9a-f]{64}", "".join(pages[:-2]))
    assert digests == []
    assert re.search("[0-9a-f]{64}", pages[-1])


def test_times_are_local_with_their_offset(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        html, pdf = judged(tmp_path, "no-dose").report(gamma=[])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "1970-01-01 05:31:40 +05:30" in html
    made = PdfReader(BytesIO(pdf)).metadata.creation_date
    assert made.isoformat() == "1970-01-01T00:01:40+00:00"


def test_without_a_planned_dose_it_is_marked_as_not_for_qa(reports):
    _case, html, pdf = reports["no-dose"]
    assert any(text.startswith("NOT FOR QA") for text in Reader(html).texts)
    assert "NOTFORQA" in text_of(pdf)


@pytest.mark.long
def test_the_same_case_gives_the_same_bytes(reports):
    case, html, pdf = reports["pass"]
    for name in ("report.html", "report.pdf"):
        (case.spool.results / name).unlink()
    assert case.report(gamma=[]) == (html, pdf)


def test_it_is_delivered_by_digest_and_can_be_generated_again(reports, tmp_path):
    case, _html, _pdf = reports["no-dose"]
    delivered = case.deliver(tmp_path / "results")
    before = (delivered / "verdict.json").read_bytes()
    redraw_report(case.spool, delivered, case.judgement, CONVENTIONS, ReportOptions(centre="Otherwhere"))
    assert "Otherwhere" in (delivered / "report.html").read_text("utf-8")
    assert (delivered / "verdict.json").read_bytes() == before
    reported = {
        file["name"]: file["sha256"] for file in json.loads((delivered / "manifest.json").read_bytes())["outputs"]
    }
    for name in ("report.html", "report.pdf", "verdict.json"):
        assert reported[name] == hashlib.sha256((delivered / name).read_bytes()).hexdigest()
    assert deliver(case.spool.results, tmp_path / "results", delivered.name) == delivered  # still the same delivery
    (delivered / "verdict.json").write_bytes(before + b" ")
    with pytest.raises(Permanent, match=r"verdict\.json was changed"):
        redraw_report(case.spool, delivered, case.judgement, CONVENTIONS, ReportOptions())


@pytest.mark.long
def test_an_incomplete_report_is_generated_again_and_a_cleared_spool_is_reported(tmp_path):
    case = judged(tmp_path, "no-dose")
    html, _pdf = case.report(gamma=[])
    (case.spool.results / "report.pdf").unlink()
    assert case.report(centre="Otherwhere")[0] != html
    delivered = case.deliver(tmp_path / "results")
    with pytest.raises(Permanent, match="no longer exist"):
        redraw_report(Spool(tmp_path / "cleared"), delivered, case.judgement, CONVENTIONS, ReportOptions())
