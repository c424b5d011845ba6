"""What an unpacked bundle does before it installs anything, with a bundle made by hand; a real one: e2e/long."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEEL = "bundle/wheels/a b-1-py3-none-any.whl"


@pytest.fixture
def place(tmp_path) -> Path:
    """A checkout with a bundle of one wheel, for a Python that is nowhere."""
    folder: Path = tmp_path / "mqi"
    shutil.copytree(ROOT / "setup", folder / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "poetry.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / WHEEL).parent.mkdir(parents=True)
    (folder / WHEEL).write_text("a wheel")
    (folder / "bundle/made-for").write_text("3.9 linux-pdp11\n")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in files]
    (folder / "bundle/SHA256SUMS").write_text("".join(sums))
    return folder


def reported(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = (str(place / words[0]), *words[1:])
    settings = {**os.environ, "LANG": "de_DE.UTF-8", "MQI_PYTHON": sys.executable}
    ended = subprocess.run(argv, env=settings, capture_output=True, text=True, timeout=120, check=False)
    assert not (place / ".venv").exists()
    return ended


def flip(place: Path, name: str) -> None:
    data = bytearray((place / name).read_bytes())
    data[0] ^= 1
    (place / name).write_bytes(data)


def damaged_list(place: Path) -> None:
    sums = place / "bundle/SHA256SUMS"
    sums.write_text(sums.read_text().replace("  bundle/made-for", " bundle/made-for"))


DAMAGE = {
    "changed library": (lambda place: flip(place, WHEEL), f"{WHEEL} was changed"),
    "changed product": (lambda place: flip(place, "poetry.lock"), "poetry.lock was changed"),
    "missing": (lambda place: (place / WHEEL).unlink(), f"{WHEEL} is missing or not readable"),
    "added": (lambda place: (place / "bundle/wheels/c.whl").write_text("x"), "bundle/wheels/c.whl was added"),
    "a link": (lambda place: (place / "bundle/wheels/c.whl").symlink_to(WHEEL), "bundle/wheels/c.whl was added"),
    "no list": (lambda place: (place / "bundle/SHA256SUMS").unlink(), "bundle/SHA256SUMS is missing"),
    "bad list": (damaged_list, "bundle/SHA256SUMS is damaged"),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("words", [("setup/prepare.sh", "run"), ("setup/bundle.sh", "verify")], ids=" ".join)
def test_what_is_not_as_it_was_made_is_named_and_nothing_is_installed(place, damage, named, words):
    damage(place)
    ended = reported(place, *words)
    assert ended.returncode == 1
    assert named in ended.stderr
    assert "Unpack it again." in ended.stderr


def test_another_python_than_the_bundle_was_made_for_is_refused(place):
    ended = reported(place, "setup/prepare.sh", "run")
    assert ended.returncode == 1
    assert "Python 3.9 on linux-pdp11, which this bundle was made for; none was found" in ended.stderr
    assert f"found {sys.executable}: Python 3." in ended.stderr


def test_a_whole_bundle_says_so(place):
    ended = reported(place, "setup/bundle.sh", "verify")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "files are unchanged since the bundle was made" in ended.stdout


def test_the_tests_do_not_run_from_a_bundle(place):
    ended = reported(place, "setup/prepare.sh", "test")
    assert (ended.returncode, "not the tools of the tests" in ended.stderr) == (1, True)


def test_a_bundle_is_made_of_a_commit(place):
    ended = reported(place, "setup/bundle.sh", "make")
    assert ended.returncode == 1
    assert "is not a git checkout" in ended.stderr


@pytest.mark.parametrize("words", [(), ("mak",), ("make", "a", "b"), ("verify", "a")], ids=" ".join)
def test_wrong_words_are_told(place, words):
    ended = reported(place, "setup/bundle.sh", *words)
    assert ended.returncode == 2
    assert "usage:" in ended.stderr


def test_every_library_of_production_is_required_by_the_digests_of_its_wheels():
    argv = (sys.executable, "setup/lockfile.py", "run")
    output = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    required = {line.split("==")[0]: line for line in output.splitlines()}
    packages = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    main = [package for package in packages if "main" in package["groups"]]
    assert len(required) == len(main)
    for package in main:
        line = required[package["name"].lower()]
        assert f"=={package['version']} " in line
        digests = {file["hash"] for file in package["files"] if file["file"].endswith(".whl")}
        assert set(line.split("--hash=", 1)[1].split(" --hash=")) == digests
    assert 'platform_system == "Windows"' in required["colorama"]


def test_the_tools_of_the_tests_are_required_under_the_conditions_of_either_group():
    argv = (sys.executable, "setup/lockfile.py", "test")
    output = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    required = {line.split("==")[0]: line for line in output.splitlines()}
    assert len(required) == len(tomllib.loads((ROOT / "poetry.lock").read_text())["package"])
    assert '; (platform_system == "Windows") or (sys_platform == "win32") --hash' in required["colorama"]
    assert ";" not in required["cffi"]  # production needs it everywhere
    assert ";" not in required["pytest"]
