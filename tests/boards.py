"""Runs a dashboard in a separate process, on a planted store or with a real communicator."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import yaml

from mqi_communicator.config import load
from mqi_communicator.store.database import open_database
from mqi_communicator.web.options import Role
from mqi_communicator.web.users import User, hash_password, users_of

PASSWORDS = {
    "vera": "vera only looks on", "otto": "otto gives orders", "phil": "phil may sign too", "pia": "pia signs as well",
}  # fmt: skip
ROLES: dict[str, Role] = {"vera": "viewer", "otto": "operator", "phil": "physicist"}
START_S = 240.0
MQI = (sys.executable, "-m", "mqi_communicator")


def configure(base: Path, web: dict[str, Any] | None = None, **sections: Any) -> Path:
    """A configuration with its own folders and two hosts that are never contacted."""
    base.mkdir(parents=True, exist_ok=True)
    for name in ("watch", "workspace", "results"):
        (base / name).mkdir(exist_ok=True)
    hosts = [{"ssh": {"name": name, "host": f"{name}.example.org", "user": "mqi"}} for name in ("gpu1", "gpu2")]
    folders = {name: str(base / name) for name in ("watch", "workspace", "results")}
    settings = {
        "paths": {**folders, "remote": "/home/mqi/work"},
        "hosts": hosts,
        "engine": {"home": "/opt/mcsquare"},
        "monitoring": {"metrics_port": 0},
        "web": {"port": 0, **(web or {})},
        "report": {"identity": "id"},
        **sections,
    }
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def with_store(config: Path) -> Path:
    """The configuration, once its communicator has run: there is a store."""
    open_database(load(config).paths.store).close()
    return config


def add_user(config: Path, name: str) -> None:
    """Add one of ROLES as a user, or a physicist, as `mqi user add` does."""
    role: Role = ROLES.get(name, "physicist")
    person: dict[str, str] = {}
    if role == "physicist":
        person = {"full_name": f"{name.title()} Example", "title": "Medical Physicist"}
    options = load(config)
    users_of(options.web, options.paths.workspace).put(User(name, role, hash_password(PASSWORDS[name]), **person))


@dataclass(slots=True)
class Board:
    """A running dashboard."""

    process: subprocess.Popen[str]
    address: str

    @contextmanager
    def signed_in(self, name: str) -> Iterator[Client]:
        """A signed-in client."""
        with Client(self.address) as client:
            answer = client.sign_in(name)
            assert answer.status_code == 303, answer.text
            client.headers["X-CSRF-Token"] = client.get("/api/v1/me").json()["csrf"]
            yield client


class Client(httpx.Client):
    """A client that keeps its cookies and does not follow redirects."""

    def __init__(self, address: str) -> None:
        super().__init__(base_url=address, timeout=60)

    def sign_in(self, name: str, password: str | None = None, **more: str) -> httpx.Response:
        return self.post("/login", data={"name": name, "password": password or PASSWORDS.get(name, ""), **more})


@contextmanager
def dashboard(config: Path, command: str = "web", *, opened: str = "web.started") -> Iterator[Board]:
    """`mqi web` on a store, or `mqi run` with its dashboard, until the end. It is ready when it logs `opened`."""
    if command == "web":
        with_store(config)
    log = config.parent / f"{command}.log"
    with log.open("w") as out:
        process = subprocess.Popen([*MQI, command, "--config", str(config)], stdout=out, stderr=out, text=True)
    try:
        reported = _reported(process, log, opened)
        yield Board(process, str(reported.get("address", "")).rstrip("/"))
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


def _reported(process: subprocess.Popen[str], log: Path, wanted: str) -> dict[str, object]:
    """The first line of the log with an event. Fails with the whole log if the process ends before."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and line.endswith("}") and json.loads(line)["event"] == wanted:
                found: dict[str, object] = json.loads(line)
                return found
        if ended:
            break
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


def board_of(site: str, command: str = "web") -> Any:
    """A fixture of a module: the dashboard of the configuration in the fixture `site`, which is its path or has it."""

    @pytest.fixture(scope="module")
    def board(request: pytest.FixtureRequest) -> Iterator[Board]:
        found = request.getfixturevalue(site)
        with dashboard(getattr(found, "config", found), command) as made:
            yield made

    return board


def client_of(name: str, scope: Literal["module", "package"] = "module") -> Any:
    """A fixture: this user, signed in to the dashboard of the fixture `board`."""

    @pytest.fixture(scope=scope)
    def client(board: Board) -> Iterator[Client]:
        with board.signed_in(name) as made:
            yield made

    return client


def token_of(page: str) -> str:
    """The CSRF token in a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening_socket() -> socket.socket:
    """A socket on a free port of this machine."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made
