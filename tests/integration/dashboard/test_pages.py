"""Pages, orders, the history, live updates and the API."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from tests.boards import token_of
from tests.integration.dashboard import ENDED, asked
from tests.planted import LIVE
from tests.reported import reported

from mqi_communicator.results.documents import as_json, verdict_document
from mqi_communicator.results.verdict import worst
from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import StoreLock


def test_the_start_page_shows_state_and_reason_of_each_case(otto, live):
    page = otto.get("/").text
    parts = {
        name: page.split(f'<section id="{name}"')[1].split("</section>")[0]
        for name in ("action_required", "running", "waiting", "held")
    }
    assert live["key changed"] in parts["action_required"]
    assert "host key mismatch" in parts["action_required"]
    assert "renew ssh.known_hosts_file" in parts["action_required"]
    assert live["computing"] in parts["running"]
    assert "58 %" in parts["running"]
    assert live["incomplete"] in parts["waiting"]
    assert "2 of 187 CT slices" in parts["waiting"]
    assert live["held"] in parts["held"]
    assert "Connection timed out" in page  # an open breaker says why
    assert "The communicator is not running" in page


def test_a_case_shows_its_beams_times_and_events(otto, live):
    page = otto.get(f"/case/{live['computing']}").text
    assert 'value="58"' in page
    assert 'class="s-admit"' in page
    assert "case.seen" in page
    assert f"<title>Case {live['computing']}" in page  # the folder's name goes into no browser's history
    assert otto.get("/case/nobody").status_code == 404


def test_a_case_shows_the_data_of_its_report(board, otto, base):
    """Plan, goals, dose to structures, gamma and provenance; without a report the page is as before."""
    key = str(otto.post("/api/v1/search", json={"word": "pass", "limit": 1}).json()["cases"][0]["case"])
    assert 'id="dvh"' not in otto.get(f"/case/{key}").text
    folder = base / "results" / key
    folder.mkdir()
    try:
        (folder / "verdict.json").write_bytes(as_json(verdict_document(key, worst(()))))
        (folder / "report.json").write_bytes(reported())
        page = otto.get(f"/case/{key}").text
        (folder / "report.json").write_bytes(b"{")
        damaged = otto.get(f"/case/{key}")
    finally:
        shutil.rmtree(folder)
    for text in ("TRUNK 10 GY", "range shifter RS_3CM IN", "D95% &gt;= 95 %", 'o-not_met">not met', "3 %/2 mm, global"):
        assert text in page, text
    assert "10.0 % outside the dose grids" in page
    assert "&lt;b&gt;Cord&lt;/b&gt;" in page
    assert "<b>Cord" not in page
    assert page.count("<polyline points=") == 2
    assert '<details id="provenance-tables">' in page
    assert damaged.status_code == 200
    assert 'id="dvh"' not in damaged.text


def test_history_is_searched_filtered_and_paged(otto):
    first = otto.post("/history", data={}).text
    assert first.count('scope="row"') == 50
    cursor = first.split('name="before" value="')[1].split('"')[0]
    second = otto.post("/history", data={"before": cursor}).text
    keys = [
        text.split("<")[0]
        for page in (first, second)
        for text in page.split('" href="/case/')[1:]
        for text in [text.split(">", 1)[1]]
    ]
    assert len(set(keys)) >= 100
    assert "QA-000042" in otto.post("/history", data={"text": "a-000042"}).text
    failed = otto.post("/history", data={"state": "failed"}).text
    assert failed.count('scope="row"') == len([n for n in range(ENDED) if n % 200 == 17])
    assert (
        "No matching cases" in otto.post("/history", data={"text": "watch"}).text
    )  # the parent folder is not part of a case's name
    assert "No matching cases" in otto.post("/history", data={"text": "%"}).text
    assert otto.post("/history", data={"since": "yesterday"}).status_code == 422
    assert "<polyline" in first


def test_history_is_exported_completely_and_no_cell_is_a_formula(base, otto):
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        store.execute("UPDATE cases SET why = '=1+1' WHERE CAST(source AS TEXT) LIKE '%QA-000001'")
    answer = otto.post("/history.csv", data={})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == ENDED + len(LIVE)
    assert len({row["case"] for row in rows}) == len(rows)
    assert next(row for row in rows if row["folder"] == "QA-000001")["why"] == "'=1+1"
    assert "attachment" in answer.headers["content-disposition"]


def test_the_system_page_shows_the_effective_settings(otto):
    page = otto.get("/system").text
    assert "gpu1.example.org" in page
    assert "stalled_after_s" in page
    assert "Python" in page
    assert "argon2" not in page


def test_checks_run_on_request_and_their_findings_are_kept(base, otto):
    assert otto.post("/system/check", data={}).status_code == 303
    deadline = time.monotonic() + 200
    while "Checks are running" in otto.get("/system").text:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    page = otto.get("/system").text
    assert "by otto" in page
    assert re.search(r"\d+ of \d+ failed", page)  # its hosts do not exist
    assert f"paths.watch {base / 'watch'} is readable" in page
    assert "the dashboard has 3 users" in page


def test_an_order_is_stored_with_user_and_reason(base, otto, live):
    page = otto.get(f"/case/{live['queued']}").text
    form = {"csrf": token_of(page), "known": "0", "order": "hold", "reason": "the gantry is being calibrated"}
    del otto.headers["X-CSRF-Token"]  # as a browser sends it
    answer = otto.post(f"/case/{live['queued']}/order", data=form)
    otto.headers["X-CSRF-Token"] = form["csrf"]
    assert (answer.status_code, answer.headers["location"]) == (303, f"/case/{live['queued']}#orders")
    given = asked(base, 'SELECT "order", who, why, applied FROM orders WHERE "case" = ?', live["queued"])
    assert given == [("hold", "otto (dashboard)", "the gantry is being calibrated", None)]
    page = otto.get(f"/case/{live['queued']}").text
    assert "the gantry is being calibrated" in page
    assert "applied when the communicator runs" in page


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"order": "hold"}, "Enter a reason"),
        ({"order": "hold", "reason": "  "}, "Enter a reason"),
        ({"order": "hold", "reason": "x" * 501}, "Enter a reason"),
        ({"reason": "because"}, "Select an action"),
        ({"order": "explode", "reason": "because"}, "Select an action"),
    ],
)
def test_an_incomplete_order_is_refused_with_a_message_and_keeps_the_input(base, otto, live, form, message):
    before = asked(base, "SELECT count(*) FROM orders")
    answer = otto.post(f"/case/{live['held']}/order", data=form)
    assert answer.status_code == 422
    assert message in answer.text
    assert form.get("reason", "")[:100].strip() in answer.text
    assert asked(base, "SELECT count(*) FROM orders") == before


def test_of_two_concurrent_orders_the_second_is_refused(otto, live, board):
    key = live["background"]
    with board.signed_in("phil") as phil:
        seen = [client.get(f"/case/{key}").text for client in (otto, phil)]
        known = [page.split('name="known" value="')[1].split('"')[0] for page in seen]
        first = otto.post(f"/case/{key}/order", data={"order": "hold", "reason": "wait for phil", "known": known[0]})
        second = phil.post(f"/case/{key}/order", data={"order": "cancel", "reason": "not needed", "known": known[1]})
        assert first.status_code == 303
        assert second.status_code == 409
        assert "otto (dashboard) gave the order hold after this page was loaded" in second.text
        assert "not needed" in second.text
        assert 'name="known" value="0"' not in second.text
        api = {"order": "cancel", "reason": "not needed", "known": 0}
        assert phil.post(f"/api/v1/cases/{key}/orders", json=api).status_code == 409


def test_the_api_returns_what_the_command_line_prints(otto, live):
    shown = otto.get(f"/api/v1/cases/{live['computing']}").json()
    assert {"case", "folder", "beams", "events", "checks", "why"} <= set(shown)
    assert [beam["percent"] for beam in shown["beams"]] == [58.0, 85.0]
    listed = otto.get("/api/v1/status", params={"limit": 500}).json()
    assert len(listed["cases"]) == ENDED + len(LIVE)
    assert listed["after"] == ""
    why = otto.get(f"/api/v1/cases/{live['key changed']}/why").json()
    assert why["needs_person"]
    now = otto.get("/api/v1/now").json()
    assert now["groups"]["held"][0]["case"] == live["held"]
    assert now["hosts"][1]["breakers"]["commands"]["state"] == "open"


@pytest.mark.parametrize("path", ["/login", "/history", "/api/v1/cases/nobody/signatures"])
def test_a_method_that_is_not_allowed_is_refused_with_all_that_are(otto, path):
    answer = otto.request("PUT", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_changes_are_sent_to_open_pages(base, board, live):
    with board.signed_in("vera") as client, client.stream("GET", "/live") as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        first = json.loads(next(lines).removeprefix("data: "))
        assert first["running"] is False
        with sqlite3.connect(base / "workspace/store.sqlite3") as store:
            store.execute("UPDATE jobs SET percent = 60 WHERE percent = 58")
        second = json.loads(next(lines).removeprefix("data: "))
        assert second["mark"] != first["mark"]
        lock = StoreLock(base / "workspace/owner.lock")
        database = open_database(base / "workspace/store.sqlite3")
        lock.take(database)
        states = (json.loads(line.removeprefix("data: ")) for line in lines)
        assert True in (one["running"] for one in states)
        assert "The communicator is not running" not in client.get("/").text
        lock.release()
        database.close()
        assert False in (one["running"] for one in states)


def test_delivered_reports_are_served_sandboxed_and_nothing_else_is(base, otto, live):
    ((key, results),) = asked(base, "SELECT key, results FROM cases WHERE CAST(source AS TEXT) LIKE '%QA-000100'")
    folder = Path(results)
    folder.mkdir()
    (folder / "report.html").write_text("<h1>recalculation</h1><script>alert(1)</script>")
    (folder / "verdict.json").write_text(json.dumps({"checks": []}))
    (folder / "dose.dcm").write_bytes(b"patient")
    (folder / "link.json").symlink_to("/etc/passwd")
    (base / "secret.json").write_text("{}")
    page = otto.get(f"/case/{key}").text
    assert f"/case/{key}/file/report.html" in page
    assert "dose.dcm" not in page
    report = otto.get(f"/case/{key}/file/report.html")
    assert report.text.startswith("<h1>recalculation")
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    for name in ("dose.dcm", "link.json", "../secret.json", "..%2F..%2Fsecret.json", "%2Fetc%2Fpasswd", "nothing.html"):
        assert otto.get(f"/case/{key}/file/{name}").status_code == 404, name
