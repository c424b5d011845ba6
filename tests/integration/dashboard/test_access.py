"""Access: built-in TLS, a reverse proxy's socket, and a communicator that serves its own dashboard."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from tests.boards import MQI, PASSWORDS, Client, add_user, configure, dashboard, free_port, token_of, with_store

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.checks import Finding, check_all
from mqi_communicator.config import load
from mqi_communicator.dashboard import open_dashboard
from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import is_owned
from mqi_communicator.web.users import User, UsersFile

T = TypeVar("T")


def refused(config: Path) -> str:
    """The message of `mqi web` when it refuses to serve."""
    done = subprocess.run(
        [*MQI, "web", "--config", str(config)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def until(wanted: Callable[[], T]) -> T:
    """The first true value."""
    deadline = time.monotonic() + 60
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


def test_builtin_tls_and_a_cookie_limited_to_it(tmp_path, certificate):
    config = configure(
        tmp_path / "site",
        {"host": "0.0.0.0", "names": ["localhost"], "certificate": str(certificate[0]), "key": str(certificate[1])},  # noqa: S104
    )
    add_user(config, "otto")
    with dashboard(config) as board:
        assert board.address.startswith("https://localhost:")
        trust = ssl.create_default_context(cafile=certificate[0])
        with httpx.Client(base_url=board.address, verify=trust, timeout=60) as client:
            answer = client.post("/login", data={"name": "otto", "password": PASSWORDS["otto"]})
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-mqi-")
            assert "; Secure" in cookie
            assert "; Path=/" in cookie
            page = client.get("/")
            assert page.status_code == 200
            assert page.headers["strict-transport-security"]
            assert client.get("/", headers={"Host": "10.0.0.1"}).status_code == 421


@pytest.mark.long
def test_an_invalid_certificate_and_a_port_in_use_are_reported(tmp_path, certificate):
    (tmp_path / "broken.pem").write_text("no certificate")
    config = configure(tmp_path / "one", {"certificate": str(tmp_path / "broken.pem"), "key": str(certificate[1])})
    assert "certificate or key cannot be used" in refused(with_store(config))
    port = free_port()
    with dashboard(configure(tmp_path / "two", {"port": port})):
        assert f"cannot be served on 127.0.0.1 port {port}" in refused(
            with_store(configure(tmp_path / "three", {"port": port}))
        )


def test_a_key_or_users_that_others_may_read_or_change_are_refused(tmp_path, certificate):
    certificate[1].chmod(0o644)
    config = configure(tmp_path / "one", {"certificate": str(certificate[0]), "key": str(certificate[1])})
    settings, users = load(with_store(config)), tmp_path / "one/workspace/users.json"
    assert settings.web is not None
    UsersFile(users).put(User("ann", "viewer"))
    with pytest.raises(ActionRequired, match=r"key\.pem can be read by others: its mode is 0644"):
        open_dashboard(settings, settings.web, lambda: False)
    certificate[1].chmod(0o600)
    for mode, verb in (("0644", "read"), ("0666", "changed")):
        users.chmod(int(mode, 8))
        with pytest.raises(ActionRequired, match=rf"users\.json can be {verb} by others: its mode is {mode}"):
            open_dashboard(settings, settings.web, lambda: False)
    certificate[1].chmod(0o640)
    found = asyncio.run(before_the_hosts(config))
    assert [one.what for one in found if "can be read by others: its mode is 0640" in one.what and not one.ok]
    assert [one.what for one in found if "can be changed by others: its mode is 0666" in one.what and not one.ok]


async def before_the_hosts(config: Path) -> list[Finding]:
    """What `mqi check` finds on this machine."""
    found: list[Finding] = []
    async for finding in check_all(load(config)):
        found.append(finding)
        if "users file" in finding.what or "the dashboard has" in finding.what:
            break
    return found


def test_an_open_address_without_tls_is_refused_with_its_line(tmp_path):
    config = configure(tmp_path / "site", {"host": "0.0.0.0"})  # noqa: S104
    output = refused(config)
    assert "passwords unencrypted" in output
    assert f"{config}:" in output


@pytest.fixture
def behind_proxy(tmp_path):
    folder = tmp_path / "door"
    folder.mkdir(mode=0o750)
    config = configure(
        tmp_path / "site", {"names": ["qa.example.org"], "proxy": {"socket": str(folder / "proxy.sock")}}
    )
    add = [*MQI, "user", "add", "ann", "--role", "operator", "--at-proxy", "--config", str(config)]
    subprocess.run(add, check=True, capture_output=True)
    return config, folder / "proxy.sock"


def at_socket(path: Path, **headers: str) -> httpx.Client:
    """What a reverse proxy sends."""
    transport = httpx.HTTPTransport(uds=str(path))
    return httpx.Client(transport=transport, base_url="http://qa.example.org", headers=headers, timeout=60)


def test_a_proxy_is_trusted_on_its_socket_and_nowhere_else(behind_proxy):
    config, path = behind_proxy
    with dashboard(config) as board:
        with at_socket(path, **{"X-Remote-User": "ann"}) as ann:
            page = ann.get("/")
            assert (page.status_code, ">ann <" in page.text) == (200, True)
            assert "Sign out" not in page.text
            me = ann.get("/api/v1/me").json()
            assert (me["name"], me["role"]) == ("ann", "operator")
            search = {"json": {}, "headers": {"X-CSRF-Token": me["csrf"]}}
            assert ann.post("/api/v1/search", **search).status_code == 200
            assert ann.post("/api/v1/search", json={}).status_code == 403
        with at_socket(path, **{"X-Remote-User": "mallory"}) as stranger:
            assert stranger.get("/").status_code == 403
        with at_socket(path) as nobody:
            assert nobody.get("/").status_code == 401
        with at_socket(path) as two:
            assert two.get("/", headers=[("X-Remote-User", "mallory"), ("X-Remote-User", "ann")]).status_code == 401
        with Client(board.address) as browser:
            assert browser.get("/", headers={"X-Remote-User": "ann"}).status_code == 303
            assert browser.sign_in("ann", "any password").status_code == 401  # who has none signs in at the proxy alone
    assert not path.exists()


def test_a_socket_that_anybody_may_open_is_refused(behind_proxy):
    config, path = behind_proxy
    path.parent.chmod(0o755)
    assert "could claim any user name" in refused(with_store(config))


def test_the_communicator_serves_its_own_dashboard_and_applies_the_orders_given_there(tmp_path):
    base = tmp_path / "site"
    config = configure(base, intake={"rescan_s": 1, "settle_s": 0.3})
    folder = base / "watch/case one"
    folder.mkdir()
    (folder / "readme.txt").write_text("no DICOM here yet")
    add_user(config, "otto")
    with dashboard(config, "run") as board, board.signed_in("otto") as otto:
        assert is_owned(base / "workspace/owner.lock")
        key = until(lambda: otto.get("/api/v1/status").json()["cases"])[0]["case"]
        page = otto.get(f"/case/{key}").text
        assert "The communicator is not running" not in page
        given = otto.post(f"/api/v1/cases/{key}/orders", json={"order": "hold", "reason": "the export goes on"}).json()
        assert given["answer"] in ("held", "")  # "": it was busy for a while
        until(lambda: "held by order" in otto.get(f"/case/{key}").text)
        form = {
            "csrf": token_of(page),
            "order": "priority",
            "priority": "urgent",
            "reason": "early fraction",
            "known": "1",
        }
        assert otto.post(f"/case/{key}/order", data=form).status_code == 303
        reported = otto.get(f"/api/v1/cases/{key}").json()
    shown = subprocess.run(
        [*MQI, "show", key, "--json", "--config", str(config)], capture_output=True, text=True, check=True
    )
    record = json.loads(shown.stdout)
    assert list(record) == list(reported)  # what programs are told is what the command line tells
    assert record["events"][: len(reported["events"])] == reported["events"]
    events = [event for event in record["events"] if event["event"].startswith("order.")]
    assert [(event["event"], event["who"], event["why"]) for event in events] == [
        ("order.hold", "otto (dashboard)", "the export goes on"),
        ("order.priority", "otto (dashboard)", "early fraction"),
    ]
    assert board.process.returncode == 0


@pytest.mark.long
def test_without_a_section_web_there_is_no_dashboard(tmp_path):
    config = configure(tmp_path / "site")
    config.write_text(config.read_text().replace("web:\n  port: 0\n", ""))
    with dashboard(config, "run", opened="started") as board:
        assert board.address == ""
    assert '"web.started"' not in (config.parent / "run.log").read_text()
    open_database(config.parent / "workspace/store.sqlite3").close()
