"""A command loads what it needs and no more: `mqi --help` no command at all, `mqi status` nothing that computes."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from mqi_communicator.cli.main import COMMANDS
from mqi_communicator.cli.reference import whole
from mqi_communicator.store.database import open_database

NAMES = [name for commands in COMMANDS.values() for name in commands]
SERVING = {"argon2", "jinja2", "prometheus_client", "starlette", "structlog", "uvicorn", "watchfiles"}
COMPUTING = {"alembic", "matplotlib", "numba", "numpy", "pydicom", "pymedphys", "reportlab", "scipy"}
READING = {"pydantic", "pydantic_core", "rich", "sqlalchemy", "yaml"}
WORKING = {"app", "checks", "dashboard", "demo", "gauges", "run", "compute.scheduler", "flow.driver",
           "flow.steps.functions", "flow.steps.submit", "flow.workers.pool", "remote.host", "remote.ssh"}  # fmt: skip


def loaded(*words: str) -> set[str]:
    """The modules that `mqi WORDS` has loaded when it ends well."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        "from mqi_communicator.cli import main\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert ended.stdout
    return set(ended.stderr.splitlines())


def packages(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def ours(modules: set[str]) -> set[str]:
    return {name.removeprefix("mqi_communicator.") for name in modules if name.startswith("mqi_communicator.")}


def test_the_help_loads_no_command():
    modules = loaded("--help")
    assert packages(modules) & (SERVING | COMPUTING | READING) == set()
    assert ours(modules) == {"cli", "cli.main", "cli.lazy"}


@pytest.fixture
def config(tmp_path):
    """A configuration whose store is there already."""
    for name in ("watch", "workspace", "results"):
        (tmp_path / name).mkdir()
    open_database(tmp_path / "workspace/store.sqlite3").close()
    settings = {
        "paths": {"watch": "watch", "workspace": "workspace", "results": "results", "remote": "/mqi"},
        "local": {},
        "engine": {"kind": "mcsquare", "home": "/engine"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "config.yaml"


def test_the_status_loads_options_and_the_store_and_nothing_that_works(config):
    modules = loaded("status", "--config", str(config))
    assert packages(modules) >= READING
    assert packages(modules) & (SERVING | COMPUTING) == set()
    assert ours(modules) & WORKING == set()


def test_no_plugin_of_another_package_is_loaded(config, monkeypatch):
    other = config.parent / "other"
    (other / "other-1.0.dist-info").mkdir(parents=True)
    (other / "other-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "other-1.0.dist-info/entry_points.txt").write_text("[pydantic]\nother = other_plugin:plugin\n")
    (other / "other_plugin.py").write_text("def plugin(): ...\n")
    monkeypatch.setenv("PYTHONPATH", str(other))
    assert "other_plugin" not in loaded("status", "--config", str(config))


@pytest.mark.parametrize("name", sorted(WORKING))
def test_what_the_status_does_not_load_exists(name):
    assert find_spec(f"mqi_communicator.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_the_list_says_what_the_command_says(name):
    output = {word: text for commands in COMMANDS.values() for word, (_, text) in commands.items()}
    command = whole().commands[name]
    assert (command.name, command.help) == (name, output[name])


def test_every_name_is_listed_once():
    assert list(whole().commands) == NAMES
    assert len(set(NAMES)) == len(NAMES)
