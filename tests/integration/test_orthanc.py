"""The script that Orthanc calls: a study becomes a folder of the watched folder by one rename, or nothing appears."""

from __future__ import annotations

import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mqi_communicator.demo.sample import sample_files

ROOT = Path(__file__).parents[2]
STUDY = "6b9e19d9-62094390-5f9ddb01-4a191ae7-9766b715"  # an identifier as Orthanc makes them


class Orthanc(BaseHTTPRequestHandler):
    """GET /studies/ID/archive, as in Orthanc's REST API: folders by patient, study and series."""

    files = sample_files(size="tiny")

    def do_GET(self) -> None:
        if self.path != f"/studies/{STUDY}/archive":
            self.send_error(404)
            return
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in self.files.items():
                archive.writestr(f"MQI SAMPLE/STUDY 1/{name[:2]} series/{name}", content)
        self.send_response(200)
        self.send_header("Content-Length", str(len(packed.getvalue())))
        self.end_headers()
        self.wfile.write(packed.getvalue())

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Orthanc)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(study: str, folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    argv = (ROOT / "deploy/orthanc/study-to-case.sh", study, folder, address)
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_study_becomes_a_case(tmp_path, address):
    ended = fetch(STUDY, tmp_path, address)
    assert ended.returncode == 0, ended.stderr
    (case,) = tmp_path.iterdir()
    assert case.name.startswith(f"orthanc-{STUDY}-")
    found = {path.name: path.read_bytes() for path in case.rglob("*") if path.is_file()}
    assert found == Orthanc.files


@pytest.mark.parametrize("study", ["00000000-00000000", "../x", "a;b", ""])
def test_what_orthanc_does_not_have_leaves_nothing(tmp_path, address, study):
    assert fetch(study, tmp_path, address).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_the_hook_names_the_script_and_passes_an_identifier_and_a_folder():
    hook = (ROOT / "deploy/orthanc/stable-study.lua").read_text()
    assert "function OnStableStudy(studyId, tags, metadata)" in hook
    assert "/opt/mqi/deploy/orthanc/study-to-case.sh ' .. studyId" in hook
    assert hook.rstrip().endswith("&')\nend"), "in the background: Orthanc answers no request while a hook runs"
