"""Provenance: inputs, software, hosts, times and outputs of a case."""

from __future__ import annotations

from mqi_communicator.report.page import Block, Facts, Paragraph, Table
from mqi_communicator.report.times import local
from mqi_communicator.results.documents import ManifestDocument

_ONE_BY_ONE = 12  # more inputs of one kind are not listed one by one, but only in manifest.json


def hosts_text(manifest: ManifestDocument) -> str:
    """The hosts that computed the doses."""
    hosts = sorted({run.host for run in manifest.runs})
    return "on " + ", ".join(hosts) if hosts else "not computed yet"


def blocks(manifest: ManifestDocument) -> tuple[Block, ...]:
    """Versions, times and digests, runs, files in and out."""
    n = manifest.judgement
    facts = [
        ("software", f"MQI Communicator {manifest.version}"),
        ("configuration (SHA-256)", manifest.configuration),
        ("received", local(manifest.admitted)),
        ("judged", local(manifest.judged)),
        *([("judgement", f"number {n} of this case; earlier ones are in other folders")] if n > 1 else []),
        ("content admitted (digest)", manifest.content),
        *((name.replace("_", " "), value) for name, value in manifest.engine.items()),
    ]
    runs = Table(
        ("beam", "run", "job", "host", "started (host clock)", "ended"),
        tuple(
            (str(run.beam), str(run.run), run.token, run.host, local(run.started), local(run.ended))
            for run in manifest.runs
        ),
        (0.6, 0.5, 2.2, 1.4, 2.2, 2.2),
    )
    return (
        Paragraph(
            "Times are local, with their offset from UTC. manifest.json in the same folder has the same data and all "
            "files, with times in UTC.",
            small=True,
        ),
        Facts(tuple(facts)),
        *([runs] if runs.rows else []),
        _inputs(manifest),
        Table(
            ("delivered file", "bytes", "SHA-256"),
            tuple((file.name, str(file.bytes), file.sha256) for file in manifest.outputs),
            (1.6, 0.8, 5),
            numbers=(1,),
        ),
    )


def _inputs(manifest: ManifestDocument) -> Table:
    rows = []
    for kind in sorted({file.kind for file in manifest.inputs}):
        files = [file for file in manifest.inputs if file.kind == kind]
        if len(files) > _ONE_BY_ONE:
            size = str(sum(file.bytes for file in files))
            rows.append((f"{kind}, {len(files)} files", size, "see manifest.json"))
        else:
            rows += [(kind, str(file.bytes), file.sha256) for file in files]
    return Table(("admitted file", "bytes", "SHA-256"), tuple(rows), (1.6, 0.8, 5), numbers=(1,))
