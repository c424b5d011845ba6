"""The walls between the rooms: they stand, and each contract catches a planted violation."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.seldom import seldom

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / ".importlinter"
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

# contract -> violations: (where it is planted, what it says)
PLANTED = [
    ("layers", "case/planted.py", "import mqi_communicator.dicom.records"),
    ("layers", "system/planted.py", "import mqi_communicator.dicom.records"),
    ("layers", "store/planted.py", "import mqi_communicator.remote.host"),
    ("layers", "flow/planted.py", "import mqi_communicator.config"),
    ("layers", "surprise.py", "X = 1"),
    ("layers", "web/planted.py", "import mqi_communicator.flow.steps.table"),
    ("layers", "flow/planted.py", "import mqi_communicator.web.context"),
    ("layers", "checks/planted.py", "import mqi_communicator.dashboard"),
    ("layers", "run.py", "import mqi_communicator.dashboard"),
    ("no-cycles", "remote/host.py", "from mqi_communicator.remote import ssh"),
    ("deciding", "compute/planted.py", "import subprocess"),
    ("deciding", "dose/planted.py", "import socket"),
    ("deciding", "dose/moqui/planted.py", "import subprocess"),
    ("deciding", "results/verdict.py", "import sqlite3"),
    ("deciding", "flow/transitions/decide.py", "import asyncio"),
    ("deciding", "flow/transitions/decide.py", "from mqi_communicator.store import database"),
    ("case-stdlib", "case/planted.py", "import numpy"),
    ("backends", "flow/planted.py", "from mqi_communicator.remote import ssh"),
    ("backends", "cli/planted.py", "from mqi_communicator.compute.direct import DirectScheduler"),
    ("backends", "flow/planted.py", "from mqi_communicator.dose.mcsquare.engine import MCsquare"),
    ("backends", "cli/planted.py", "from mqi_communicator.dose.moqui.engine import Moqui"),
    ("engine-parts", "flow/planted.py", "from mqi_communicator.dose.mcsquare.case import MCsquareCase"),
    ("engine-parts", "dose/planted.py", "from mqi_communicator.dose.moqui.job import MoquiJob"),
    ("engine-parts", "app.py", "from mqi_communicator.dose.moqui.setup import Setup"),
    ("engines", "dose/moqui/planted.py", "from mqi_communicator.dose.mcsquare.inputs import CONFIG"),
    ("telemetry", "flow/planted.py", "import mqi_communicator.telemetry.logs"),
    ("dicom", "delivery/planted.py", "import pydicom"),
    ("sql", "cli/planted.py", "import sqlalchemy"),
    ("sql", "web/planted.py", "import sqlalchemy"),
    ("http", "flow/planted.py", "import starlette"),
]
OFTEN = PLANTED[::6]


def contracts():
    rules = configparser.ConfigParser()
    rules.read(RULES)
    marked = (name.removeprefix("importlinter:contract:") for name in rules.sections() if ":contract:" in name)
    return {name: rules[f"importlinter:contract:{name}"]["name"] for name in marked}


def lint(source):
    """What the linter says of the package below `source`, and its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", LINT, "--config", str(RULES), "--no-cache"]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode


def broken(output):
    """Names of the contracts that the linter found broken."""
    return {name for name, title in contracts().items() if f"{title} BROKEN" in output}


@pytest.fixture
def source(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "data"))
    return tmp_path / "src"


def test_the_walls_stand(source):
    output, code = lint(source)
    assert code == 0, output
    assert f"{len(contracts())} kept, 0 broken" in output


@pytest.mark.parametrize("planted", seldom(PLANTED, often=OFTEN), ids="-".join)
def test_a_planted_violation_is_caught(source, planted):
    contract, place, line = planted
    target = source / "mqi_communicator" / place
    target.parent.mkdir(exist_ok=True)
    before = target.read_text() if target.exists() else '"""Planted."""\n'
    target.write_text(f"{before}\n{line}\n")
    output, code = lint(source)
    assert code == 1, output
    assert contract in broken(output), output


def test_each_contract_has_a_planted_violation():
    assert {contract for contract, _, _ in PLANTED} == set(contracts())
