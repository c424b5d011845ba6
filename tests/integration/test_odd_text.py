"""What a host, a folder's name or a person wrote reaches a terminal as visible characters alone."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.odd_text import CONTROL, HIDING, TURNING, hidden, odd_texts
from typer.testing import CliRunner

from mqi_communicator.case.identity import IdentityPolicy
from mqi_communicator.case.model import Event, Status, WorkItem, new_key
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.store import cases, orders, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database
from mqi_communicator.web.export import _Exported, _row

CONFIG = """
paths: {watch: incoming, workspace: workspace, results: results, remote: /home/mqi/work}
local: {}
engine: {home: /opt/mcsquare}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    base = tmp_path_factory.mktemp("odd")
    config = base / "config.yaml"
    config.write_text(CONFIG)
    (base / "workspace").mkdir()
    database = open_database(load(config).paths.store)
    yield config, database
    database.close()


def plant(database, watch, folder: str, words: str) -> Case:
    verdict = words.encode(errors="replace").decode()  # our own words: UTF-8, but they may quote a name
    case = Case(new_key(), watch / f"x{folder}", 1.0, "f", why=verdict, host="gpu1")
    line = WorkItem(case.key, 0, "upload", Status.WAITING, reason=words, advice=words, needs_person=True)
    database.write_now(cases.add, case)
    database.write_now(work_items.add, line, Event(1.0, case.key, 0, "step.action_required", "upload", why=words))
    database.write_now(
        work_items.add, WorkItem(case.key, 1, "submit", reason=words), Event(1.0, case.key, 1, "beam.started")
    )
    return case


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_texts(without="\x00/"), odd_texts(without="\x00"))
@example(CONTROL[1:] + TURNING + HIDING, CONTROL[1:] + TURNING + HIDING)
def test_commands_and_csv_show_odd_characters_as_escapes(site, folder, words):
    config, database = site
    case = plant(database, config.parent / "incoming", folder, words)
    for command in (("status",), ("why", case.key), ("show", case.key), ("audit", case.key)):
        ended = CliRunner().invoke(app, [*command, "--config", str(config)])
        assert ended.exit_code == 0, ended.output
        assert not hidden(ended.output.replace("\n", " ")), command
    named = replace(case, patient_id=words, plan_label=words, machine=words)
    assert not hidden("".join(_row(_Exported(named, "waiting", []), IdentityPolicy(patient_id=True, plan_label=True))))


def test_an_order_has_the_name_of_the_user_id_and_a_reason_that_can_be_seen(site):
    config, database = site
    case = plant(database, config.parent / "incoming", "", "")
    forged = {"LOGNAME": "dr-house", "USER": "dr-house", "LNAME": "dr-house", "SUDO_UID": "", "SUDO_USER": "dr-house"}
    words = ["hold", case.key, "--reason", "\x1b[2J\u202eok\udcff", "--config", str(config)]
    ended = CliRunner().invoke(app, words, env=forged)
    assert ended.exit_code == 0, ended.output
    (order,) = database.read_now(orders.of_case, case.key)
    assert order.who == pwd.getpwuid(os.getuid()).pw_name
    assert order.why == r"\x1b[2J\u202eok\udcff"
