"""What a host, a folder's name or a person wrote reaches every reader as visible characters that do nothing.

One case per kind of text, which is in every field that has a text from outside: each of these surfaces shows all.
"""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import os
import pwd
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from tests.boards import configure
from tests.odd_text import KINDS, hidden, odd_texts, strings
from typer.testing import CliRunner

from mqi_communicator.case.model import Event, Status, WorkItem, new_key
from mqi_communicator.case.visible import visible
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.dashboard import open_dashboard
from mqi_communicator.flow.hosts import breaker
from mqi_communicator.flow.options import BreakerOptions
from mqi_communicator.notify.dispatcher import Dispatcher
from mqi_communicator.notify.mail import Mail
from mqi_communicator.notify.message import Message
from mqi_communicator.notify.options import MailOptions, NotifyOptions
from mqi_communicator.store import breakers, cases, hosts, notices, orders, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import Database, open_database
from mqi_communicator.telemetry import logs
from mqi_communicator.web.users import User

NOW = time.time()


@dataclass(frozen=True)
class Site:
    """A configuration, its store, and the case of each kind of text."""

    config: Path
    database: Database
    cases: dict[str, str]
    events: list[Event]


def folder_of(text: str) -> str:
    """A name that a file system accepts, with as much of the text as it can hold."""
    return "x" + os.fsdecode(os.fsencode(text.encode("utf-8", "surrogatepass"))[:200]).translate({0: None, 47: None})


def plant(database: Database, watch: Path, text: str) -> tuple[str, list[Event]]:
    """A case whose every text is `text`, written as by the communicator. Returns its key and its events."""
    verdict = visible(text)  # of our own words, which quote what the readers of DICOM return
    key = new_key()
    case = Case(
        key, watch / folder_of(text), NOW, "f", why=verdict, word="fail", host="gpu1", patient_id=verdict,
        plan_label=verdict, machine=verdict,
    )  # fmt: skip
    item = WorkItem(key, 0, "upload", Status.WAITING, reason=text, advice=text, needs_person=True)
    beam = WorkItem(key, 1, "follow", Status.FAILED, reason=text, advice=text)
    events = [
        Event(NOW, key, 0, "step.action_required", "upload", why=text, facts={"said": text, text: [text]}),
        Event(NOW, key, 1, "step.failed", "follow", who=text, why=text, facts={"log": text}),
        Event(NOW, key, 0, "step.done", "compare", why=text, facts={"word": "fail", "cause": text, "constancy": text}),
    ]
    database.write_now(cases.add, case)
    for one, event in zip((item, beam), events, strict=False):
        database.write_now(work_items.add, one, event)
    database.write_now(work_items.move, item, item, events[2])
    order = database.write_now(orders.add, at=NOW, case=key, order="hold", who=text, why=text, detail=text)
    database.write_now(orders.answer, order, visible(text), NOW)
    gpus = [{"index": text, "name": text, "total_mib": 9, "used_mib": 1, "percent": 1, "celsius": 1, "ours_mib": 0,
             "foreign": 0}]  # fmt: skip
    state = {"taken": 0, "slots": 1, "gpus": gpus, "gpu_trouble": text, "stopped": False}
    database.write_now(hosts.save, "gpu1", NOW, state)
    broken = breaker.Breaker()
    for _ in range(20):
        broken = breaker.failed(broken, NOW, text, BreakerOptions())
    database.write_now(breakers.save, "gpu2:commands", broken.to_json())
    return key, events


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = configure(tmp_path_factory.mktemp("odd"), report={"identity": "id", "labels": True})
    database = open_database(load(config).paths.store)
    planted = {kind: plant(database, config.parent / "watch", text) for kind, text in KINDS.items()}
    keys = {kind: key for kind, (key, _) in planted.items()}
    yield Site(config, database, keys, [event for _, events in planted.values() for event in events])
    database.close()


def clean(text: str) -> bool:
    return not hidden(text.replace("\n", " "))


def run(site: Site, *command: str) -> str:
    ended = CliRunner().invoke(app, [*command, "--config", str(site.config)])
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("command", ["why", "show", "audit"])
def test_commands_about_a_case(site: Site, command: str):
    for kind, key in site.cases.items():
        output = run(site, command, key)
        assert clean(output), kind
        assert "mqi: two" not in map(str.strip, output.splitlines()), kind


def test_status(site: Site):
    assert clean(run(site, "status"))
    read = [json.loads(line) for line in run(site, "status", "--json").splitlines()]
    assert not [text for text in strings(read) if hidden(text)]


class Markup(HTMLParser):
    """The event handlers in a page, and the sources of its scripts and images."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.handlers: list[str] = []
        self.sources: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag in ("script", "img"):
            self.sources.append(dict(attrs).get("src"))


async def test_pages_and_their_csv(site: Site):
    config = load(site.config)
    assert config.web is not None
    board = open_dashboard(config, config.web, lambda: False)
    board.context.users.put(User("vera", "viewer"))
    session = board.context.sessions.begin(User("vera", "viewer"))
    cookies = {f"mqi-{board.context.port}": session}
    try:
        async with httpx.AsyncClient(base_url=board.address, cookies=cookies, timeout=60) as client:
            csrf = (await client.get("/api/v1/me")).json()["csrf"]
            about = [f"/case/{key}" for key in site.cases.values()]
            for path in ("/", "/history", "/system", *about):
                page = await client.get(path)
                assert page.status_code == 200, path
                assert clean(page.text), path
                found = Markup(page.text)
                assert not found.handlers, path
                assert all(source and source.startswith("/static/") for source in found.sources), path
            api = [f"/api/v1/cases/{key}{more}" for key in site.cases.values() for more in ("", "/why")]
            for path in ("/api/v1/now", "/api/v1/status", "/api/v1/worklist", *api):
                answer = await client.get(path)
                assert answer.status_code == 200, path
                assert not [text for text in strings(answer.json()) if hidden(text)], path
            table = await client.post("/history.csv", data={"csrf": csrf})
    finally:
        await board.close()
    assert table.status_code == 200
    head, *rows = csv.reader(io.StringIO(table.text))
    assert {row[0] for row in rows} == set(site.cases.values())
    assert {len(row) for row in rows} == {len(head)}
    for cell in (cell for row in rows for cell in row):
        assert not hidden(cell)
        assert not cell.startswith(("=", "+", "-", "@"))


class Kept:
    """A channel that keeps its messages."""

    name = "kept"

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> str:
        self.messages.append(message)
        return ""

    def check_secret(self) -> None:
        pass

    def probe(self) -> str:
        return ""


@pytest.mark.parametrize("topic", ["needs_person", "failed", "verdict_fail"])
async def test_mail_and_webhook(site: Site, topic: str):
    kept = Kept()
    options = NotifyOptions.model_validate({"webhook": {"url_env": "URL"}, "about": [topic]})
    site.database.write_now(notices.save_cursor, notices.Cursor(kept.name, 0, 0.0))
    await Dispatcher(options, [kept], site.database, time.time, lambda *_, **__: None).poll()
    (message,) = kept.messages
    mail = Mail(MailOptions(host="mail", sender="mqi@example.org", recipients=("a@example.org",)))
    sent = email.message_from_bytes(mail._email(message).as_bytes(), policy=email.policy.default)
    assert sent["Subject"] == f"MQI: {len(KINDS)} {message.subject.split(' ', 2)[2]}"
    text = sent.get_content()
    assert clean(text)
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("case ")] == [
        line.split(":")[0] for line in message.text.splitlines() if line.startswith("case ")
    ]
    assert len(text.splitlines()) == len(KINDS) + 2
    posted = json.loads(json.dumps(message.data).encode())
    assert len(posted["items"]) == len(KINDS)
    assert not [one for one in strings(posted["items"]) if hidden(one)]
    assert clean(posted["text"])


def test_the_log(site: Site):
    out = io.StringIO()
    logs.setup("info", stream=out, console=False)
    for event in site.events:
        logs.log_event(event)
    lines = out.getvalue().split("\n")
    assert len(lines) == len(site.events) + 1
    assert not [text for line in lines[:-1] for text in (line, *strings(json.loads(line))) if hidden(text)]


@pytest.mark.long
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_texts())
def test_any_text_in_commands(site: Site, text: str):
    key, _ = plant(site.database, site.config.parent / "watch", text)
    for command in (("status",), ("why", key), ("show", key), ("audit", key)):
        assert clean(run(site, *command)), command


def test_an_order_has_the_name_of_the_user_id_and_a_reason_that_can_be_seen(site: Site):
    forged = {"LOGNAME": "dr-house", "USER": "dr-house", "LNAME": "dr-house", "SUDO_UID": "", "SUDO_USER": "dr-house"}
    key = site.cases["lines"]
    words = ["hold", key, "--reason", "\x1b[2J\u202eok\udcff", "--config", str(site.config)]
    ended = CliRunner().invoke(app, words, env=forged)
    assert ended.exit_code == 0, ended.output
    order, *_ = site.database.read_now(orders.of_case, key)
    assert order.who == pwd.getpwuid(os.getuid()).pw_name
    assert order.why == r"\x1b[2J\u202eok\udcff"
