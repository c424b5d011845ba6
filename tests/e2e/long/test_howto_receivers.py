"""docs/howto.md, to the letter: a real Orthanc receives cases over DICOM; a folder appears as mercure writes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import Site

from mqi_communicator.demo.sample import write_sample
from mqi_communicator.demo.settings import _free_port

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = {"Orthanc": "orthanc", "storescu": "dcmtk"}  # and their Debian packages
LOGIN = "mqi:a-password"
PATH = f"{os.environ['PATH']}:/usr/sbin"
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A server with a password that calls the hook of this project."""

    dicom_port: int
    url: str

    def studies(self) -> list[str]:
        return list(httpx.get(f"{self.url}/studies", timeout=10).raise_for_status().json())

    def receive(self, folder: Path) -> None:
        argv = ("storescu", "-R", "-aec", "ORTHANC", "127.0.0.1", str(self.dicom_port), "+sd", str(folder))
        subprocess.run(argv, timeout=120, check=True, capture_output=True)


@pytest.fixture
def orthanc(site: Site, tmp_path: Path) -> Iterator[Orthanc]:
    if missing := [package for name, package in PROGRAMS.items() if shutil.which(name, path=PATH) is None]:
        pytest.skip(f"this machine lacks the Debian packages {', '.join(missing)}")
    made = Orthanc(_free_port(), f"http://{LOGIN}@127.0.0.1:{_free_port()}")
    hook = (ROOT / "deploy/orthanc/stable-study.lua").read_text()
    for shown, here in {
        "/opt/mqi/deploy/orthanc/study-to-case.sh": str(ROOT / "deploy/orthanc/study-to-case.sh"),
        "/data/mqi/incoming": f"{site.watch} {made.url}",
    }.items():
        assert shown in hook
        hook = hook.replace(shown, here)
    (tmp_path / "stable-study.lua").write_text(hook)
    settings = {
        "StableAge": 2,  # 60 on the page
        "LuaScripts": [str(tmp_path / "stable-study.lua")],
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "storage"),
        "HttpPort": int(made.url.rsplit(":", 1)[1]),
        "DicomPort": made.dicom_port,
        "RegisteredUsers": dict([LOGIN.split(":")]),
        "AuthenticationEnabled": True,
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "orthanc.log").open("wb") as log:
        argv = (shutil.which("Orthanc", path=PATH) or "", str(tmp_path / "orthanc.json"))
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        _wait(made)
        yield made
    finally:
        server.terminate()
        server.wait(30)


def _wait(server: Orthanc) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            assert server.studies() == []
        except httpx.TransportError:
            assert time.monotonic() < end
            time.sleep(0.5)
        else:
            return


def done(number: int):
    return lambda cases: len(cases) == number and all(case["status"] == "done" for case in cases)


def test_orthanc_receives_a_case(site: Site, orthanc: Orthanc, tmp_path: Path):
    write_sample(tmp_path / "export", size="tiny")
    daemon = site.daemon()
    orthanc.receive(tmp_path / "export")
    (case,) = site.wait_for(done(1), "the study is computed")
    (study,) = orthanc.studies()
    assert str(case["folder"]).startswith(f"orthanc-{study}-")
    assert [path.name for path in site.watch.iterdir()] == [case["folder"]]
    argv = (ROOT / "deploy/orthanc/study-to-case.sh", study, site.watch, orthanc.url)  # by hand, once more
    subprocess.run(argv, timeout=60, check=True)
    cases = site.wait_for(done(2), "the second is known")
    assert sorted(str(one["same_as"]) for one in cases) == ["", case["case"]]
    assert len(site.starts()) == 2
    assert daemon.stop() == 0


def test_mercure_copies_a_case(site: Site, tmp_path: Path):
    """Into a folder in its place, file by file; then its mark."""
    write_sample(tmp_path / "received", size="tiny")
    daemon = site.daemon()
    target = site.watch / "1.2.826.0.1.3680043-7f3c"
    target.mkdir()
    for number, file in enumerate(sorted(path for path in (tmp_path / "received").rglob("*") if path.is_file())):
        shutil.copy(file, target / f"{number:04}#{file.name}")
        time.sleep(0.05)
    (target / ".complete").touch()
    (case,) = site.wait_for(done(1), "it is computed")
    assert case["folder"] == target.name
    assert len(site.starts()) == 2
    assert daemon.stop() == 0
