"""Access control: sign-in, cross-site requests, password guesses, malformed requests."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from tests.boards import PASSWORDS, Client, add_user, token_of
from tests.integration.dashboard import asked

from mqi_communicator.web.authentication import MAX_WAITING


@pytest.mark.parametrize("path", ["/", "/history", "/system", "/live", "/case/abc", "/case/abc/file/verdict.json"])
def test_nobody_sees_a_page_without_signing_in(board, path):
    with Client(board.address) as stranger:
        answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", ["/api/v1/now", "/api/v1/status", "/api/v1/openapi.json"])
def test_the_api_requires_a_session(board, path):
    with Client(board.address) as stranger:
        answer = stranger.get(path)
    assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})


def scripts_are_files(page: str) -> bool:
    """Whether each script of the page is a file of ours, with nothing between its tags."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", page, re.DOTALL)
    ours = [one for one in scripts if re.fullmatch(r'<script[^>]* src="/static/[^"]*"[^>]*></script>', one)]
    return bool(scripts) and scripts == ours and page.count("<script") == len(scripts)


def test_a_folder_named_like_a_script_is_shown_as_text(base, otto, live):
    odd = "<script>alert(1)</script>"
    name = bytes(base / "watch") + b"/<script>alert(1)<script>"
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        store.execute("UPDATE cases SET source = ? WHERE key = ?", (name, live["uploading"]))
        store.execute('UPDATE work_items SET reason = ? WHERE "case" = ?', (odd, live["uploading"]))
    for path in ("/", "/history", f"/case/{live['uploading']}"):
        page = otto.get(path).text
        assert page.count("&lt;script&gt;alert(1)") >= 2, path
        assert scripts_are_files(page), path


def test_every_page_has_security_headers(otto, live):
    for path in ("/", "/history", "/system", f"/case/{live['held']}", "/login", "/static/app.js", "/nowhere"):
        headers = otto.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_no_page_has_scripts_or_styles_in_it(otto, live):
    for path in ("/", "/history", "/system", f"/case/{live['computing']}"):
        page = otto.get(path).text
        assert "style=" not in page
        assert "onclick" not in page
        assert scripts_are_files(page), path
        assert "http" not in page.replace("http-equiv", "").split("</footer>")[0].split("<main")[0]


def test_a_viewer_cannot_give_orders(base, vera, live):
    before = asked(base, "SELECT count(*) FROM orders")
    assert 'name="reason"' not in vera.get(f"/case/{live['held']}").text
    order = {"order": "release", "reason": "because"}
    assert vera.post(f"/case/{live['held']}/order", data=order).status_code == 403
    assert vera.post(f"/api/v1/cases/{live['held']}/orders", json=order).status_code == 403
    assert vera.post("/system/check", data={}).status_code == 403
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
def test_a_cross_site_order_is_refused(base, otto, live, headers):
    before = asked(base, "SELECT count(*) FROM orders")
    order = {"order": "release", "reason": "because"}
    for path, body in (
        (f"/case/{live['held']}/order", {"data": order}),
        (f"/api/v1/cases/{live['held']}/orders", {"json": order}),
    ):
        assert otto.post(path, headers=headers, **body).status_code == 403
    assert asked(base, "SELECT count(*) FROM orders") == before


def test_an_unknown_host_name_is_refused(otto):
    assert otto.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert otto.get("/", headers={"Host": ""}).status_code in (400, 421)
    assert otto.get("/", headers={"Host": "127.0.0.1.evil.example"}).status_code == 421
    assert otto.get("/", headers={"Host": "[::1"}).status_code == 400
    assert otto.post("/history", headers={"Origin": "http://[::1"}, data={}).status_code == 400
    assert otto.post("/history", data={f"field-{number}": "x" for number in range(60)}).status_code == 400


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


def test_forty_guesses_at_once_are_five_guesses(board):
    def guess(number: int) -> int:
        with Client(board.address) as client:
            return client.sign_in("another-of-us", f"guess number {number}").status_code

    with ThreadPoolExecutor(40) as many:
        answers = Counter(many.map(guess, range(40)))
    assert answers[401] == 5
    assert answers[429] > 0
    assert answers[401] + answers[429] + answers[503] == 40  # 503: too many wait at once


def test_a_flood_of_sign_ins_keeps_nobody_out(board, vera):
    ready = Barrier(40)

    def guess(number: int) -> int:
        with Client(board.address) as client:
            ready.wait()
            return client.sign_in(f"stranger-{number}", "a guess or two").status_code

    with ThreadPoolExecutor(40) as many:
        guesses = [many.submit(guess, number) for number in range(40)]
        while not all(one.done() for one in guesses):
            began = time.monotonic()
            assert vera.get("/").status_code == 200
            assert time.monotonic() - began < 5
    answers = Counter(one.result() for one in guesses)
    assert set(answers) == {401, 503}
    assert answers[401] >= MAX_WAITING


@pytest.mark.parametrize("other", ['{"a": 1}', "x=[1,2]", '{"a":"b,c"}', "a b", 'y="'])
def test_a_cookie_of_another_page_on_this_host_signs_nobody_out(board, other):
    with board.signed_in("vera") as client:
        ours = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        client.cookies.clear()
        assert client.get("/", headers={"Cookie": f"prefs={other}; {other}; {ours}"}).status_code == 200


def test_one_user_cannot_take_all_live_streams(board, otto):
    with board.signed_in("vera") as first, board.signed_in("vera") as second, ExitStack() as streams:
        kept = (first.stream("GET", "/live") if number % 2 else second.stream("GET", "/live") for number in range(12))
        found = [streams.enter_context(stream).status_code for stream in kept]
        assert found == [200] * 10 + [429] * 2
        with otto.stream("GET", "/live") as other:
            assert other.status_code == 200


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
def test_malformed_requests_are_refused_with_a_message(otto, method, path, body, status):
    answer = otto.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_passwords_are_stored_only_as_hashes(base, board):
    text = (base / "workspace/users.json").read_text()
    assert "$argon2id$" in text
    assert not [word for word in PASSWORDS.values() if word in text]
    assert (base / "workspace/users.json").stat().st_mode & 0o777 == 0o600
