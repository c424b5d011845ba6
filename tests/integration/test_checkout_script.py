"""`./mqi` of a checkout in a folder with spaces, set up or not, called from everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
printf '%s\\n' "$PWD" "${PYTHONPATH-unset}" "$@"
"""  # in the place of the checkout's Python: it says where it was called, and with what
PREPARE = """#!/bin/sh
echo "set-up: $*"
mkdir -p "${0%/*}/../.venv/bin" && cp "${0%/*}/python" "${0%/*}/../.venv/bin/python"
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout that is not set up; its set-up puts a Python there that repeats its arguments."""
    folder: Path = tmp_path / "our programs" / "mqi of 2027"
    (folder / "setup").mkdir(parents=True)
    shutil.copy(ROOT / "mqi", folder)
    for name, text in (("prepare.sh", PREPARE), ("python", PYTHON)):
        (folder / "setup" / name).write_text(text)
        (folder / "setup" / name).chmod(0o755)
    return folder


def call(script: Path | str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "PYTHONPATH": "/elsewhere"}
    return subprocess.run((str(script), *words), cwd=cwd, env=settings, capture_output=True, text=True, check=True)


def test_it_sets_the_checkout_up_and_keeps_stdout_for_the_command(checkout):
    ended = call("./mqi", "status", "--json", cwd=checkout)
    assert ended.stderr == "set-up: run\n"
    assert ended.stdout.splitlines() == [str(checkout), "unset", "-m", "mqi_communicator", "status", "--json"]


def test_arguments_arrive_as_they_were_given(checkout):
    words = ("sign", "a case", "--reason", "", "*", 'a "quoted" $word')
    assert call("./mqi", *words, cwd=checkout).stdout.splitlines()[4:] == list(words)


@pytest.mark.parametrize("how", ["by its path", "by a link", "by a relative link to a link"])
def test_it_works_from_another_folder_and_leaves_the_caller_there(checkout, tmp_path, how):
    elsewhere = tmp_path / "some where"
    elsewhere.mkdir()
    script = checkout / "mqi"
    if how != "by its path":
        script = elsewhere / "link"
        script.symlink_to(checkout / "mqi")
    if how == "by a relative link to a link":
        script = elsewhere / "mqi"
        script.symlink_to("link")
    assert call(script, "status", cwd=elsewhere).stdout.splitlines()[0] == str(elsewhere)


def test_a_set_up_that_fails_starts_nothing(checkout):
    (checkout / "setup/prepare.sh").write_text("#!/bin/sh\necho 'error: no Python' >&2\nexit 1\n")
    ended = subprocess.run(("./mqi", "status"), cwd=checkout, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "error: no Python\n")


def test_a_checkout_that_is_set_up_is_left_as_it_is(checkout):
    """With the real set-up, which finds its mark and does nothing."""
    for name in ("pyproject.toml", "poetry.lock"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(
        ROOT / "setup", checkout / "setup", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    (checkout / ".venv/bin").mkdir(parents=True)
    shutil.copy(checkout / "setup/python", checkout / ".venv/bin/python")
    (checkout / ".setup").mkdir()
    mark = 'here=$PWD; . setup/common.sh; . setup/venv.sh; printf "run %s\\n" "$(venv_digest)" >.setup/venv'
    subprocess.run(("bash", "-c", mark), cwd=checkout, check=True)
    before = {path: path.lstat().st_mtime_ns for path in checkout.rglob("*")}
    ended = call("./mqi", "status", cwd=checkout)
    assert (ended.stderr, ended.stdout.splitlines()[2:]) == ("", ["-m", "mqi_communicator", "status"])
    assert {path: path.lstat().st_mtime_ns for path in checkout.rglob("*")} == before


BARE = """#!/bin/sh
case "$*" in *ensurepip*) exit 1 ;; esac
echo "$0"
"""  # a supported Python without ensurepip, as Debian has it without python3-venv


@pytest.mark.parametrize("bundled", [False, True])
def test_a_python_that_cannot_install_pip_is_a_missing_package(checkout, tmp_path, bundled):
    """A bundle has its own pip."""
    for name in ("pyproject.toml", "poetry.lock"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "setup", checkout / "setup", dirs_exist_ok=True)
    if bundled:
        (checkout / "bundle").mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "sort", "ssh", "rsync", "flock", "tr", "cat", "cut", "sha256sum"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "python3.11").write_text(BARE)
    (programs / "python3.11").chmod(0o755)
    argv = (checkout / "setup/prepare.sh", "run", "--check")
    settings = {"PATH": str(programs), "HOME": str(tmp_path)}
    ended = subprocess.run(argv, env=settings, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ("python3-venv" in ended.stdout) is not bundled
    assert "missing: a virtual environment" in ended.stdout


def test_shellcheck_finds_nothing_in_our_scripts():
    scripts = ("mqi", "deploy.sh", "test.sh", *(f"setup/{path.name}" for path in (ROOT / "setup").glob("*.sh")))
    argv = ("shellcheck", "--external-sources", "--format=json", *scripts)
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert [one for one in json.loads(ended.stdout) if one["code"] not in (1090, 1091)] == []
    assert all(os.access(ROOT / name, os.X_OK) for name in ("mqi", "deploy.sh", "test.sh", "setup/prepare.sh"))
