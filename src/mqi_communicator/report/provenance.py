"""The chain of evidence: what was admitted, what computed it, where and when, and what came of it."""

from __future__ import annotations

from mqi_communicator.report.page import Block, Facts, Paragraph, Table
from mqi_communicator.results.documents import ManifestDocument

_ONE_BY_ONE = 12  # inputs of one kind that are listed by digest; CT slices are many and stand in manifest.json


def where(manifest: ManifestDocument) -> str:
    """The hosts that computed it."""
    hosts = sorted({run.host for run in manifest.runs})
    return "on " + ", ".join(hosts) if hosts else "nowhere yet"


def blocks(manifest: ManifestDocument) -> tuple[Block, ...]:
    """Versions, times and digests, runs, files in and out."""
    n = manifest.judgement
    facts = [
        ("software", f"MQI Communicator {manifest.version}"),
        ("configuration (SHA-256)", manifest.configuration),
        ("admitted", manifest.admitted or "–"),
        ("judged", manifest.judged or "–"),
        *([("judgement", f"number {n} of this case; the earlier lie in folders of their own")] if n > 1 else []),
        ("content admitted (digest)", manifest.content),
        *((name.replace("_", " "), value) for name, value in manifest.engine.items()),
    ]
    runs = Table(
        ("beam", "run", "job", "host", "started (its clock)", "ended"),
        tuple(
            (str(run.beam), str(run.run), run.token, run.host, run.started or "–", run.ended or "–")
            for run in manifest.runs
        ),
        (0.6, 0.5, 2.2, 1.4, 2.2, 2.2),
    )
    return (
        Paragraph("Times are UTC. manifest.json beside this report holds the same, with every file.", small=True),
        Facts(tuple(facts)),
        runs,
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
            rows.append((f"{kind}, {len(files)} files", size, "each in manifest.json"))
        else:
            rows += [(kind, str(file.bytes), file.sha256) for file in files]
    return Table(("admitted file", "bytes", "SHA-256"), tuple(rows), (1.6, 0.8, 5), numbers=(1,))
