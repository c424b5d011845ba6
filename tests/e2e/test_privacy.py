"""A patient with unmistakable words goes the whole way; the words are then looked for wherever they must not be."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from pypdf import PdfReader
from tests.e2e.pages import page

from mqi_communicator.demo.sample import CANARY
from mqi_communicator.demo.sample_canary import LABEL, PATIENT_ID


def found_in(text: str) -> list[str]:
    return [word for word in CANARY if word.lower() in text.lower()]


def leaks_of(tree: Path) -> dict[str, list[str]]:
    """Files below `tree` whose name or content holds a word of the patient."""
    leaks = {}
    for path in tree.rglob("*"):
        content = path.read_bytes().decode("latin-1") if path.is_file() else ""
        if words := found_in(str(path.relative_to(tree)) + "\n" + content):
            leaks[str(path)] = words
    return leaks


def loose(tree: Path) -> list[str]:
    """What others than the owner's group may read."""
    return [str(path) for path in tree.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o007]


def test_no_word_of_the_patient_leaves_the_spool(site):
    site.histories(60_000)
    site.reports()
    folder = site.drop(f"{CANARY[0]} {CANARY[1]}", kind="canary")
    assert leaks_of(folder), "the canary is in the case"
    daemon = site.daemon()
    daemon.until("started")
    titles = ""
    site.wait_for(lambda cases: cases and any(beam["percent"] for beam in cases[0]["beams"]), "computing")
    for _ in range(5):
        titles += subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    there, modes = leaks_of(site.remote), loose(site.remote)
    pages = "".join(page(daemon, name)[1] for name in ("metrics", "healthz", "readyz"))
    (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "done", seconds=240)
    daemon.stop()
    assert there == {}, "names and contents on the host"
    assert found_in("\n".join(line for line in titles.splitlines() if "pytest" not in line)) == []
    assert found_in(pages) == []
    assert found_in(str(daemon.lines)) == []
    assert found_in((site.folder / "host" / "sshd.log").read_text()) == []
    delivered = leaks_of(Path(str(case["results"])))
    # The patient's own objects; and the patient id and labels, as they were typed, in the report.
    assert {Path(name).suffix for name in delivered} == {".dcm", ".html", ".json"}
    report = Path(str(case["results"])) / "report.pdf"
    printed = "".join(sheet.extract_text() for sheet in PdfReader(report).pages)
    for text in ((report.with_suffix(".html")).read_text("utf-8"), printed):
        assert found_in(text) == [PATIENT_ID, LABEL]
    with closing(sqlite3.connect(site.workspace / "store.sqlite3")) as store:
        identity = store.execute("SELECT patient_id, plan_label FROM cases").fetchall()
        tables = ("events", "orders", "jobs", "work_items", "figures", "hosts", "notices", "breakers")
        recorded = [store.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608 - their names
    assert len(found_in(str(identity))) == 2  # the id and the label are columns of the case, and nowhere else
    assert found_in(str(recorded)) == []
    spool = site.workspace / "spool" / str(case["case"])
    assert [path.name for path in spool.rglob("*") if found_in(path.name)] == []
    (volumes,) = (spool / "viewer").glob("*.bin")
    assert found_in(volumes.read_bytes().decode("latin-1")) == [LABEL]  # in the name of a structure, as in the report
    assert modes + loose(site.workspace) + loose(site.results) == []
