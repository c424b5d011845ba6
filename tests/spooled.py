"""A communicator with two hosts, both on this machine, and cases as admission, jobs and delivery leave them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml

from mqi_communicator.app import App, build
from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.job import Job
from mqi_communicator.config import load
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.remote import workspace
from mqi_communicator.results.documents import as_json, manifest_document, verdict_document
from mqi_communicator.results.verdict import CheckOutcome, Verdict
from mqi_communicator.store import cases


def two_hosts(folder: Path) -> App:
    """A communicator whose store, spool, results and hosts are below `folder`; nothing of it runs."""
    settings = {
        "paths": {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")},
        "hosts": [{"local": {"name": "one"}}, {"local": {"name": "two"}, "remote": str(folder / "remote2")}],
        "engine": {"kind": "mcsquare", "home": str(folder)},
        "resources": {"remote_free_gib": 0, "local_free_gib": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return build(load(folder / "config.yaml"))


async def shut(app: App) -> None:
    """Close everything that it opened."""
    for host in app.tools.hosts.values():
        await host.poller.close()
        await host.guarded.close()
    app.database.close()
    app.lock.release()


def manifest(content: str = "a" * 64) -> Manifest:
    stored = StoredFile("0001.dcm", "b" * 64, 3, Kind.PLAN, "1.2.3", "plan.dcm")
    return Manifest(content, "c" * 64, ((1, "AP"), (2, "PA")), (stored,))


def spooled(app: App, key: str, content: str = "a" * 64, seen: float = 10.0) -> cases.Case:
    """A case as admission leaves it in the spool; the store does not know it."""
    spool = app.tools.spool(key)
    case = cases.Case(key, Path(f"/in/Ünï \udcff {key}"), seen, "print", changed=seen, rank=seen)
    spool.case.mkdir(parents=True)
    write_origin(spool.origin, case)
    admitted = manifest(content)
    record = {
        "content": admitted.content,
        "lineage": admitted.lineage,
        "beams": admitted.beams,
        "files": [{name: getattr(file, name) for name in file.__slots__} for file in admitted.files],
    }
    spool.manifest.write_text(json.dumps(record))
    return case


def delivered(app: App, key: str) -> Path:
    """Results as delivered."""
    folder = app.config.paths.results / key
    folder.mkdir()
    verdict = as_json(verdict_document(key, Verdict(CheckOutcome.PASS, "all checks passed", ())))
    (folder / "verdict.json").write_bytes(verdict)
    output = {"name": "verdict.json", "bytes": len(verdict), "sha256": hashlib.sha256(verdict).hexdigest()}
    document = manifest_document(key, manifest(), version="1", configuration="", engine={}, runs=[], outputs=[])
    (folder / "manifest.json").write_text(json.dumps(json.loads(as_json(document)) | {"outputs": [output]}))
    return folder


async def begin(app: App, name: str, key: str, number: int, program: tuple[str, ...] = ("sleep", "600")) -> None:
    """A job that runs on a host, whatever the store knows."""
    host = app.tools.hosts[name]
    workspace.read_workspace(await host.guarded.request(workspace.workspace(host.root), deadline=60))
    folder = Path(host.root) / "cases" / key / "input"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'').hexdigest()}  ./common/x\n")
    (folder / "common").mkdir(exist_ok=True)
    (folder / "common" / "x").touch()
    work = Work((Program("engine", program),), (), 700)
    job = Job(f"{key}-b1-r{number}", work)
    host.scheduler.read_submit(await host.guarded.request(host.scheduler.submit(job), deadline=90))
