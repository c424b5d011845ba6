"""The bill of materials holds what is locked; an audit that could not be made is no audit that found nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def made(*words: str) -> dict[str, object]:
    ended = subprocess.run(
        [sys.executable, ".ci/sbom.py", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    document: dict[str, object] = json.loads(ended.stdout)
    return document


def test_every_locked_library_is_in_the_bill_with_its_version():
    packages = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    document = made("--all")
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    components = document["components"]
    assert isinstance(components, list)
    assert {(one["name"], one["version"]) for one in components} == {(one["name"], one["version"]) for one in packages}
    assert all(one["purl"].startswith("pkg:pypi/") for one in components)
    fewer = made()["components"]
    assert isinstance(fewer, list)
    names = {one["name"] for one in fewer}
    assert "pydicom" in names
    assert "pytest" not in names


def test_the_product_and_what_it_depends_on_stand_in_it():
    document = made()
    dependencies = document["dependencies"]
    assert isinstance(dependencies, list)
    ours = next(one for one in dependencies if one["ref"] == "mqi-communicator")
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert len(ours["dependsOn"]) == len(direct)


SCRIPT = """
import sys
sys.path.insert(0, ".ci")
from audit import judge
print("code", judge({"a", "b"}, %s, %d))
"""
WELL = [{"name": "A", "version": "1", "vulns": []}, {"name": "b", "version": "2", "vulns": []}]
FLAW = [WELL[0], {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}]}]
SKIPPED = [WELL[0], {"name": "b", "skip_reason": "not found"}]


@pytest.mark.parametrize(
    ("reported", "code", "output"),
    [
        (WELL, 0, "code 0"),
        (FLAW, 1, "b 2: CVE-1\ncode 1"),
        (SKIPPED, 0, "b: was skipped\ncode 1"),
        (WELL, 1, "code 1"),
    ],
)
def test_a_flaw_or_a_library_that_was_skipped_is_a_failure(reported, code, output):
    argv = [sys.executable, "-c", SCRIPT % (reported, code)]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.endswith(output + "\n"), ended.stderr


def test_no_answer_is_said_and_is_no_success(tmp_path):
    """A pip-audit that cannot reach anybody ends without an answer."""
    (tmp_path / "pip_audit.py").write_text("import sys; sys.exit('connection refused by registry.example')")
    search = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ended = subprocess.run(
        [sys.executable, ".ci/audit.py"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    assert ended.stdout.startswith("NOT AUDITED")
    assert "registry" not in ended.stdout + ended.stderr
