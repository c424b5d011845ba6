"""The worklist over HTTP: filters in the address, patients in no address, who has a case open, files to be kept."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from tests.integration.dashboard import asked


def rows(page: str) -> list[str]:
    return page.split('<section id="review"')[1].split("</section>", maxsplit=1)[0].split("<tr ")[1:]


def test_the_first_page_lists_what_is_to_be_signed_and_counts_it_first(base, otto):
    page = otto.get("/").text
    (due,) = asked(base, "SELECT count(*) FROM cases WHERE signature IN ('unsigned', 'second_due')")[0]
    tile = page.split('id="count-review"')[1].split("</a>")[0]
    assert f"<b>{due}</b> to review" in tile
    assert page.index('id="count-review"') < page.index('id="count-action_required"')
    found = otto.get("/api/v1/worklist").json()
    assert sum(found["counts"].values()) == due
    order = ["fail", "review", "undecided", "not_judged", "pass"]
    words = [case["verdict"] for case in found["cases"]]
    assert words == sorted(words, key=order.index)
    assert found["cases"][0]["patient_id"].startswith("ID-")
    assert found["cases"][0]["patient_id"] in rows(page)[0]


def test_filters_are_in_the_address_but_no_label_and_no_patient(otto):
    case = otto.get("/api/v1/worklist").json()["cases"][0]
    page = otto.get("/", params={"plan": case["case"], "verdict": "pass"}).text
    assert f"?plan={case['case']}&amp;verdict=pass" in page.split("<body")[1].split(">")[0]
    assert rows(page)
    assert all(case["plan_label"] in row and "v-pass" in row for row in rows(page))
    links = " ".join(re.findall(r'(?:href|action|data-page)="([^"]*)"', page))
    assert case["plan_label"] not in links
    assert "ID-" not in links
    assert otto.get("/api/v1/worklist", params={"signer": "phil"}).json()["cases"][0]["signed_by"] == "phil"


INVALID = ("verdict=good", "since=yesterday", "plan=A%20B", "patient=ID-1", f"machine={'x' * 201}")


@pytest.mark.parametrize("query", INVALID)
def test_an_invalid_filter_is_refused_with_its_name(otto, query):
    for path in ("/", "/api/v1/worklist"):
        answer = otto.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert query.split("=")[0] in answer.text


def test_a_patient_is_searched_in_the_body_and_exported_with_identity(otto):
    assert "QA-000042" in otto.post("/history", data={"text": "ID-000042"}).text
    (row,) = csv.DictReader(io.StringIO(otto.post("/history.csv", data={"text": "ID-000042"}).text))
    assert (row["patient_id"], row["plan_label"], row["machine"][:3]) == ("ID-000042", "LUNG_L", "GTR")
    (found,) = otto.post("/api/v1/search", json={"text": "ID-000042"}).json()["cases"]
    assert found["plan_label"] == "LUNG_L"
    assert otto.get("/api/v1/status?text=ID-000042").status_code == 422  # never in an address


def test_a_case_is_open_as_long_as_its_page_is_connected(board, otto, live):
    key = otto.get("/api/v1/worklist").json()["cases"][0]["case"]

    def opened():
        return otto.get("/api/v1/worklist").json()["cases"][0]["open_by"]

    with board.signed_in("vera") as vera:
        with vera.stream("GET", f"/live?case={key}") as stream, vera.stream("GET", "/live?case=../x") as other:
            lines = stream.iter_lines()  # kept: without it the connection is closed
            assert json.loads(next(line for line in lines if "data: " in line)[6:])["mark"]
            assert other.status_code == 200
            assert opened() == ["vera"]
            assert "also open by vera" in otto.get(f"/case/{key}").text
            assert "also open by" not in vera.get(f"/case/{key}").text
        for _ in range(100):
            if not opened():
                break
        assert opened() == []
    assert live["held"] not in opened()


def test_scripts_and_styles_are_kept_by_browsers_under_names_of_their_content(board, otto):
    page = otto.get("/").text
    names = re.findall(r'(?:href|src)="(/static/v-[0-9a-f]{16}/[\w./-]+)"', page)
    assert {name.rsplit("/", 1)[1] for name in names} >= {"app.css", "app.js", "icon.svg"}
    for name in names:
        answer = otto.get(name)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    old = names[0].replace("/v-", "/v-0")
    assert otto.get(old).headers["cache-control"] == "no-store"
    assert otto.get("/static/app.css").headers["cache-control"] == "no-store"
    assert otto.get("/").headers["cache-control"] == "no-store"


def test_every_step_has_a_colour_of_its_own(otto):
    from mqi_communicator.flow.steps.table import ALL_STEPS, BEAM_STEPS, CASE_STEPS

    css = otto.get("/static/app.css").text
    colours = [re.search(rf"\.s-{step.name} {{ --c: var\((--c\d+)\)", css) for step in (*CASE_STEPS, *BEAM_STEPS)]
    assert None not in colours
    assert all(f".s-{step.name} {{" in css for step in ALL_STEPS)
    assert len({found[1] for found in colours if found}) == len(colours)
