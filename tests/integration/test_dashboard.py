"""The dashboard as a process, over a planted store: pages, signing in, orders, and who may not."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.boards import PASSWORDS, ROLES, Board, Client, add_user, configure, dashboard, token_of
from tests.planted import LIVE, plant

from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import StoreLock

ENDED = 130


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def live(base) -> dict[str, str]:
    """The keys of the cases under way, by what they are."""
    configure(base)
    database = open_database(base / "workspace/store.sqlite3")
    keys = plant(database, base / "watch", base / "results", time.time(), ended=ENDED)
    database.close()
    return dict(zip(LIVE, keys, strict=True))


@pytest.fixture(scope="module")
def board(base, live) -> Iterator[Board]:
    for name in ROLES:
        add_user(base / "config.yaml", name)
    with dashboard(base / "config.yaml") as made:
        yield made


@pytest.fixture(scope="module")
def otto(board) -> Iterator[Client]:
    with board.signed_in("otto") as client:
        yield client


@pytest.fixture(scope="module")
def vera(board) -> Iterator[Client]:
    with board.signed_in("vera") as client:
        yield client


def asked(base: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        return store.execute(query, values).fetchall()


@pytest.mark.parametrize("path", ["/", "/history", "/room", "/live", "/case/abc", "/case/abc/file/verdict.json"])
def test_nobody_sees_a_page_without_signing_in(board, path):
    with Client(board.address) as stranger:
        answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", ["/api/v1/now", "/api/v1/status", "/api/v1/openapi.json"])
def test_programs_are_told_to_sign_in(board, path):
    with Client(board.address) as stranger:
        answer = stranger.get(path)
    assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})


def test_the_first_page_says_of_each_case_where_it_stands_and_why(otto, live):
    page = otto.get("/").text
    parts = {
        name: page.split(f'<section id="{name}"')[1].split("</section>")[0]
        for name in ("person", "running", "waiting", "held")
    }
    assert live["key changed"] in parts["person"]
    assert "another host key" in parts["person"]
    assert "renew ssh.known_hosts_file" in parts["person"]
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


def test_history_is_searched_filtered_and_turned_over(otto):
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
    failed = otto.post("/history", data={"status": "failed"}).text
    assert failed.count('scope="row"') == len([n for n in range(ENDED) if n % 200 == 17])
    assert "No case fits" in otto.post("/history", data={"text": "watch"}).text  # the folder above is no name of a case
    assert "No case fits" in otto.post("/history", data={"text": "%"}).text
    assert otto.post("/history", data={"since": "yesterday"}).status_code == 422
    assert "<polyline" in first


def test_history_is_exported_whole_and_no_cell_is_a_formula(base, otto):
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        store.execute("UPDATE cases SET why = '=1+1' WHERE CAST(source AS TEXT) LIKE '%QA-000001'")
    answer = otto.post("/history.csv", data={})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == ENDED + len(LIVE)
    assert len({row["case"] for row in rows}) == len(rows)
    assert next(row for row in rows if row["folder"] == "QA-000001")["why"] == "'=1+1"
    assert "attachment" in answer.headers["content-disposition"]


def test_the_machine_room_shows_the_settings_in_effect(otto):
    page = otto.get("/room").text
    assert "gpu1.example.org" in page
    assert "stalled_after_s" in page
    assert "Python" in page
    assert "argon2" not in page


def test_the_checks_run_at_the_press_of_a_button_and_stay_to_be_read(base, otto):
    assert otto.post("/room/check", data={}).status_code == 303
    deadline = time.monotonic() + 200
    while "The checks are running" in otto.get("/room").text:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    page = otto.get("/room").text
    assert "by otto" in page
    assert "are not as they should be" in page  # its hosts do not exist
    assert f"paths.watch {base / 'watch'} can be read" in page
    assert "3 people are known to the dashboard" in page


def test_a_folder_named_like_a_script_is_shown_as_text(base, otto, live):
    odd = "<script>alert(1)</script>"
    name = bytes(base / "watch") + b"/<script>alert(1)<script>"
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        store.execute("UPDATE cases SET source = ? WHERE key = ?", (name, live["uploading"]))
        store.execute('UPDATE lines SET reason = ? WHERE "case" = ?', (odd, live["uploading"]))
    for path in ("/", "/history", f"/case/{live['uploading']}"):
        page = otto.get(path).text
        assert page.count("&lt;script&gt;alert(1)") >= 2, path
        assert page.count("<script") == 1


def test_every_page_is_sealed(otto, live):
    for path in ("/", "/history", "/room", f"/case/{live['held']}", "/login", "/static/app.js", "/nowhere"):
        headers = otto.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_no_page_has_scripts_or_styles_in_it(otto, live):
    for path in ("/", "/history", "/room", f"/case/{live['computing']}"):
        page = otto.get(path).text
        assert "style=" not in page
        assert "onclick" not in page
        assert page.count("<script") == 1
        assert "http" not in page.replace("http-equiv", "").split("</footer>")[0].split("<main")[0]


def test_an_order_is_written_down_with_who_and_why(base, otto, live):
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
    assert "kept until the communicator runs" in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"order": "hold"}, "Say why"),
        ({"order": "hold", "reason": "  "}, "Say why"),
        ({"order": "hold", "reason": "x" * 501}, "Say why"),
        ({"reason": "because"}, "Choose one"),
        ({"order": "explode", "reason": "because"}, "Choose one"),
    ],
)
def test_an_order_that_is_not_whole_is_refused_in_words_and_what_was_typed_stays(base, otto, live, form, words):
    before = asked(base, "SELECT count(*) FROM orders")
    answer = otto.post(f"/case/{live['held']}/order", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert form.get("reason", "")[:100].strip() in answer.text
    assert asked(base, "SELECT count(*) FROM orders") == before


def test_who_only_looks_gives_no_orders(base, vera, live):
    before = asked(base, "SELECT count(*) FROM orders")
    assert 'name="reason"' not in vera.get(f"/case/{live['held']}").text
    order = {"order": "release", "reason": "because"}
    assert vera.post(f"/case/{live['held']}/order", data=order).status_code == 403
    assert vera.post(f"/api/v1/cases/{live['held']}/orders", json=order).status_code == 403
    assert vera.post("/room/check", data={}).status_code == 403
    assert asked(base, "SELECT count(*) FROM orders") == before


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "guessed"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_an_order_from_elsewhere_is_refused(base, otto, live, headers):
    before = asked(base, "SELECT count(*) FROM orders")
    order = {"order": "release", "reason": "because"}
    for path, body in (
        (f"/case/{live['held']}/order", {"data": order}),
        (f"/api/v1/cases/{live['held']}/orders", {"json": order}),
    ):
        assert otto.post(path, headers=headers, **body).status_code == 403
    assert asked(base, "SELECT count(*) FROM orders") == before


def test_a_name_that_is_not_ours_is_refused(otto):
    assert otto.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert otto.get("/", headers={"Host": ""}).status_code in (400, 421)
    assert otto.get("/", headers={"Host": "127.0.0.1.evil.example"}).status_code == 421
    assert otto.get("/", headers={"Host": "[::1"}).status_code == 400
    assert otto.post("/history", headers={"Origin": "http://[::1"}, data={}).status_code == 400
    assert otto.post("/history", data={f"field-{number}": "x" for number in range(60)}).status_code == 400


def test_of_two_who_act_at_once_the_second_is_told(otto, live, board):
    key = live["background"]
    with board.signed_in("phil") as phil:
        seen = [client.get(f"/case/{key}").text for client in (otto, phil)]
        known = [page.split('name="known" value="')[1].split('"')[0] for page in seen]
        first = otto.post(f"/case/{key}/order", data={"order": "hold", "reason": "wait for phil", "known": known[0]})
        second = phil.post(f"/case/{key}/order", data={"order": "cancel", "reason": "not needed", "known": known[1]})
        assert first.status_code == 303
        assert second.status_code == 409
        assert "otto (dashboard) has given the order to hold since you looked" in second.text
        assert "not needed" in second.text
        assert 'name="known" value="0"' not in second.text
        api = {"order": "cancel", "reason": "not needed", "known": 0}
        assert phil.post(f"/api/v1/cases/{key}/orders", json=api).status_code == 409


def test_signing_out_ends_the_session(board):
    with board.signed_in("otto") as client:
        stolen = dict(client.cookies)
        page = client.get("/").text
        assert client.post("/logout", data={"csrf": token_of(page)}).status_code == 303
        client.cookies.update(stolen)
        assert client.get("/").status_code == 303


def test_a_new_password_or_a_user_taken_away_ends_open_sessions(base, board):
    config = base / "config.yaml"
    with board.signed_in("phil") as client:
        assert client.get("/").status_code == 200
        add_user(config, "phil")  # the same password again has another hash
        assert client.get("/").status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(board):
    with Client(board.address) as client:
        cookie = client.sign_in("vera").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"])
def test_signing_in_leads_nowhere_else(board, onward):
    with Client(board.address) as client:
        assert client.sign_in("vera", next=onward).headers["location"] == "/"


def test_guessing_is_slowed_down(board):
    with Client(board.address) as client:
        answers = [client.sign_in("nobody-of-us", "a guess or two").status_code for _ in range(7)]
        assert answers[:5] == [401] * 5
        assert answers[6] == 429
        again = client.sign_in("nobody-of-us", "a guess or two")
        assert int(again.headers["retry-after"]) >= 1
        assert client.sign_in("vera").status_code == 303  # others are not kept out


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/login", b"x" * 70_000, 413),
        ("POST", "/api/v1/search", b"x" * 70_000, 413),
        ("POST", "/api/v1/search", b"{", 400),
        ("POST", "/api/v1/search", b"[" * 30_000, 400),
        ("POST", "/api/v1/search", b"[]", 422),
        ("POST", "/api/v1/search", b'{"limit": 100000}', 422),
        ("POST", "/api/v1/search", b'{"unknown": 1}', 422),
        ("POST", "/api/v1/search", b'{"before": "x"}', 422),
        ("PUT", "/", b"", 405),
        ("DELETE", "/api/v1/now", b"", 405),
    ],
)
def test_odd_requests_are_refused_in_words(otto, method, path, body, status):
    answer = otto.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_programs_are_told_what_the_command_line_tells(otto, live):
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


def test_what_is_new_is_told_without_reloading(base, board, live):
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
        told = (json.loads(line.removeprefix("data: ")) for line in lines)
        assert True in (one["running"] for one in told)
        assert "The communicator is not running" not in client.get("/").text
        lock.release()
        database.close()
        assert False in (one["running"] for one in told)


def test_delivered_reports_are_shown_in_a_cage_and_nothing_else_is(base, otto, live):
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


def test_passwords_stand_nowhere(base, board):
    text = (base / "workspace/users.json").read_text()
    assert "$argon2id$" in text
    assert not [word for word in PASSWORDS.values() if word in text]
    assert (base / "workspace/users.json").stat().st_mode & 0o777 == 0o600
