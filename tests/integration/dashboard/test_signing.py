"""Results are signed in the dashboard and over the API: by whom, with which password or token, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess

import httpx
import pytest
from pypdf import PdfReader
from tests.boards import MQI, PASSWORDS, Board, Client, add_user, board_of, client_of, token_of
from tests.judged import KEY
from tests.signed import add_case, delivered_case, settings, store

pytestmark = pytest.mark.timeout(900)
PAGE, SIGN = f"/case/{KEY}", f"/case/{KEY}/sign"
API = f"/api/v1/cases/{KEY}"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("signing")


@pytest.fixture(scope="module")
def config(base):
    case, folder = delivered_case(base, "no-dose")
    made = settings(base, web={"port": 0}, signing={"second": True}, local={"name": "here"})
    with store(made) as database:
        add_case(database, case, folder)
    for name in ("vera", "otto", "phil", "pia"):
        add_user(made, name)
    return made


board = board_of("config", "run")
phil = client_of("phil")
pia = client_of("pia")


def form(client: Client, **changes: str) -> dict[str, str]:
    """The form of the page, filled in."""
    page = client.get(PAGE).text
    seen, number = (re.search(f'name="{name}" value="([^"]+)"', page) for name in ("seen", "number"))
    assert seen, page
    assert number, page
    given = {"csrf": token_of(page), "seen": seen[1], "number": number[1], "decision": "accept"}
    return given | {"reason": "checked by hand", "password": PASSWORDS["phil"]} | changes


def mqi(config, *words: str, say: str = "") -> subprocess.CompletedProcess[str]:
    command = [*MQI, *words, "--config", str(config)]
    return subprocess.run(command, input=say, text=True, capture_output=True, check=False, timeout=300)


def bearer(board: Board, token: str) -> httpx.Client:
    return httpx.Client(base_url=board.address, timeout=60, headers={"Authorization": f"Bearer {token}"})


def unsigned(client: Client) -> bool:
    answer = client.get(f"{API}/signatures").json()
    return (answer["state"], answer["signatures"]) == ("unsigned", [])


def test_the_page_offers_the_form_to_physicists_alone(board, phil):
    assert "Signs as Phil Example, Medical Physicist" in phil.get(PAGE).text
    with board.signed_in("otto") as otto:
        page = otto.get(PAGE).text
        assert "Signing requires the role physicist" in page
        assert "sign-password" not in page
        refused = otto.post(SIGN, data=form(phil, csrf=token_of(page), password=PASSWORDS["otto"]))
    assert refused.status_code == 403
    assert "Signing requires the role physicist" in refused.text
    assert unsigned(phil)


def test_a_wrong_password_is_refused_counted_and_logged(board, phil, base):
    refused = phil.post(SIGN, data=form(phil, password="not the password"))
    assert refused.status_code == 403
    assert "Incorrect password. Nothing was signed." in refused.text
    assert "checked by hand" in refused.text, "what was entered stays"
    assert "not the password" not in refused.text
    assert phil.post(SIGN, data=form(phil, password="")).status_code == 403
    assert unsigned(phil)
    lines = [json.loads(line) for line in (base / "run.log").read_text().splitlines() if line.startswith("{")]
    assert [line["user"] for line in lines if line["event"] == "web.sign_refused"] == ["phil", "phil"]


def test_a_page_of_other_results_is_refused(phil):
    refused = phil.post(SIGN, data=form(phil, seen="0" * 64))
    assert refused.status_code == 409
    assert "other results than those of the page" in refused.text
    assert unsigned(phil)


def test_a_form_without_its_token_or_decision_is_refused(phil):
    del phil.headers["X-CSRF-Token"]
    assert phil.post(SIGN, data=form(phil, csrf="x")).status_code == 403
    without = form(phil)
    del without["decision"]
    assert phil.post(SIGN, data=without).status_code == 422
    phil.headers["X-CSRF-Token"] = phil.get("/api/v1/me").json()["csrf"]
    assert unsigned(phil)


@pytest.mark.long
def test_a_missing_reason_is_refused_by_the_communicator(phil):
    refused = phil.post(SIGN, data=form(phil, reason=""))
    assert refused.status_code == 409
    assert "Not signed: to accept a verdict not_judged needs a reason" in refused.text
    assert unsigned(phil)


def test_an_account_without_a_name_cannot_sign(board, config, phil):
    without = [*MQI, "user", "add", "nemo", "--role", "physicist", "--password-stdin", "--config", str(config)]
    subprocess.run(without, input="nemo has no name\n", text=True, check=True, capture_output=True)
    with Client(board.address) as nemo:
        assert nemo.sign_in("nemo", "nemo has no name").status_code == 303
        page = nemo.get(PAGE).text
        assert "Your account has no name and title" in page
        refused = nemo.post(SIGN, data=form(phil, csrf=token_of(page), password="nemo has no name"))
        assert refused.status_code == 409
        assert "mqi user edit nemo" in refused.text


def test_a_token_of_a_lesser_role_cannot_sign_and_needs_no_csrf_token(board, config, phil):
    made = mqi(config, "token", "add", "phil", "--role", "operator", "--purpose", "night shift")
    assert made.returncode == 0, made.stderr
    seen = phil.get(f"{API}/signatures").json()["seen"]
    with bearer(board, made.stdout.strip()) as client:
        assert client.get("/api/v1/me").json() == {"name": "phil", "role": "operator", "csrf": ""}
        refused = client.post(f"{API}/signatures", json={"decision": "accept", "reason": "x", "seen": seen})
        assert (refused.status_code, "physicist" in refused.json()["error"]) == (403, True)
        ordered = client.post(f"{API}/orders", json={"order": "hold", "reason": "by a program"})
        assert ordered.status_code == 202
        assert client.get("/history", follow_redirects=False).status_code == 303, "tokens are for the API alone"
    (token,) = json.loads(mqi(config, "token", "list", "--json").stdout)
    assert (token["user"], token["role"], token["purpose"]) == ("phil", "operator", "night shift")
    assert token["last_use"] > token["created"]
    assert "digest" not in token
    assert "phil (token " in json.dumps(phil.get(PAGE).text)


def test_a_wrong_expired_or_removed_token_is_refused(board, config):
    made = mqi(config, "token", "add", "vera", "--days", "30", "--json")
    token = json.loads(made.stdout)
    with bearer(board, token["token"]) as client:
        assert client.get("/api/v1/me").json()["role"] == "viewer"
        assert mqi(config, "token", "remove", token["id"]).returncode == 0
        refused = client.get("/api/v1/me")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="mqi"')
    for wrong in ("mqi_aaaaaaaa_" + "x" * 43, "nonsense", token["token"][:-1]):
        with bearer(board, wrong) as client:
            assert client.get("/api/v1/status").status_code == 401
    assert mqi(config, "token", "add", "vera", "--role", "operator").returncode == 1
    assert mqi(config, "token", "add", "nobody").returncode == 1
    assert mqi(config, "token", "add", "vera", "--days", "900").returncode == 1


@pytest.mark.long
def test_a_new_password_or_role_keeps_the_name_of_the_person(config):
    given = (*MQI, "user", "add", "vera", "--role", "viewer", "--password-stdin", "--config", str(config))
    named = mqi(config, "user", "edit", "vera", "--full-name", "Vera Example", "--title", "Dosimetrist")
    assert named.stdout == "vera: Vera Example, Dosimetrist, viewer\n"
    subprocess.run(given, input=f"{PASSWORDS['vera']}\n", text=True, check=True, capture_output=True)
    (vera,) = [one for one in json.loads(mqi(config, "user", "list", "--json").stdout) if one["name"] == "vera"]
    assert (vera["full_name"], vera["title"], vera["role"]) == ("Vera Example", "Dosimetrist", "viewer")
    assert "password" not in vera
    assert mqi(config, "user", "edit", "nobody", "--title", "x y").returncode == 1
    assert mqi(config, "user", "edit", "vera", "--title", "\u202e").returncode == 1


def test_phil_signs_on_the_page(phil, base):
    answer = phil.post(SIGN, data=form(phil))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}#signature")
    page = phil.get(PAGE).text
    assert "second signature due" in page
    assert "Phil Example, Medical Physicist" in page
    assert "contradicts the verdict not judged" in page
    assert "The second signature must be that of another person." in page
    signature = json.loads((base / "results" / KEY / "signature.json").read_text())
    assert (signature["account"], signature["proof"], signature["through"]) == ("phil", "password", "dashboard")


def test_the_api_shows_the_signature_and_serves_the_signed_report(phil, board, config, tmp_path):
    token = mqi(config, "token", "add", "vera").stdout.strip()
    with bearer(board, token) as client:
        shown = client.get(API).json()
        assert (shown["signature"], shown["signed_by"]) == ("second_due", "phil")
        found = client.post("/api/v1/search", json={"signature": "second_due"}).json()["cases"]
        assert [case["case"] for case in found] == [KEY]
        assert client.post("/api/v1/search", json={"signature": "unsigned"}).json()["cases"] == []
        names = [file["name"] for file in client.get(f"{API}/files").json()["files"]]
        assert names[:3] == ["report-signed.pdf", "report.html", "report.pdf"]
        for name, kind in (
            ("report-signed.pdf", "application/pdf"), ("report.pdf", "application/pdf"),
            ("report.html", "text/html; charset=utf-8"), ("signature.json", "application/json"),
        ):  # fmt: skip
            answer = client.get(f"{API}/files/{name}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        (tmp_path / "signed.pdf").write_bytes(client.get(f"{API}/files/report-signed.pdf").content)
        for wrong in ("..%2fstore.sqlite3", "dose", "plan.dcm"):
            assert client.get(f"{API}/files/{wrong}").status_code == 404
    text = PdfReader(tmp_path / "signed.pdf").pages[0].extract_text()
    assert "ACCEPTED by Phil Example" in " ".join(text.split())


def test_the_csv_has_the_signature_and_the_numbers(phil):
    csrf = phil.headers["X-CSRF-Token"]
    head, row = phil.post("/history.csv", data={"csrf": csrf, "signature": "second_due"}).text.splitlines()
    found = dict(zip(head.split(","), row.split(","), strict=True))
    assert (found["case"], found["signature"], found["signed_by"]) == (KEY, "second_due", "phil")
    assert found["signed_at"].startswith("20")
    assert {"gamma_percent", "dose_scale", "range_r80_mm"} <= set(found)


def test_a_stale_page_of_a_colleague_is_refused(pia):
    refused = pia.post(SIGN, data=form(pia, number="1", password=PASSWORDS["pia"]))
    assert refused.status_code == 409
    assert "Not signed: the results are signed already: accepted by Phil Example" in refused.text


def test_a_colleague_signs_by_token_on_the_command_line(config, pia, base):
    assert (
        mqi(config, "sign", KEY, "--accept", "--user", "phil", "--password-stdin", "-r", "x", say="wrong\n").returncode
        == 1
    )
    same = mqi(
        config, "sign", KEY, "--accept", "--user", "phil", "--password-stdin", "-r", "x", say=PASSWORDS["phil"] + "\n"
    )
    assert same.returncode == 1
    assert "the second signature must be that of another person" in same.stderr
    token = mqi(config, "token", "add", "pia", "--role", "physicist").stdout
    signed = mqi(config, "sign", KEY, "--accept", "--token-stdin", "--reason", "agreed", say=token)
    assert signed.returncode == 0, signed.stderr
    assert "accepted by Pia Example, Medical Physicist (pia)" in signed.stdout
    second = json.loads((base / "results" / KEY / "signature-2.json").read_text())
    assert (second["account"], second["proof"]) == ("pia", "token")
    assert second["through"].startswith("command line of ")
    shown = mqi(config, "show", KEY).stdout
    assert shown.count("signature: accepted by") == 2
    assert "These results are signed." in pia.get(PAGE).text


def test_signed_results_are_not_signed_again_over_the_api(pia):
    seen = pia.get(f"{API}/signatures").json()["seen"]
    wanted = {"decision": "reject", "reason": "again", "seen": seen, "password": PASSWORDS["pia"]}
    refused = pia.post(f"{API}/signatures", json=wanted)
    assert refused.status_code == 409
    assert "signed already" in refused.json()["error"]
    assert pia.post(f"{API}/signatures", json={**wanted, "seen": "x"}).status_code == 422


def test_wrong_passwords_lock_signing_as_they_lock_signing_in(board, pia):
    seen = pia.get(f"{API}/signatures").json()["seen"]
    wanted = {"decision": "reject", "reason": "guessing", "seen": seen, "password": "wrong wrong"}
    answers = [pia.post(f"{API}/signatures", json=wanted).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]
    with Client(board.address) as other:
        assert other.sign_in("pia").status_code == 429, "the same lock"
