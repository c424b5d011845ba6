"""The expected judgement of each fault of the stand-in, and a record of logs and sizes to judge, written by
`python -m tests.standin.failures`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dose.engine import JobRequest, PreparedCase, Refused
from tests.doing import do, looked_at
from tests.standin import site
from tests.standin.settings import FAULTS

RECORD = Path(__file__).parents[1] / "fixtures/moqui/failures.json"
FAST: dict[str, Any] = {"histories_per_beam": 200_000}
FAILS = {
    # fault: (flavour, engine, exit code, words, retryable); words of a dose that is read and refused come with None
    "save-crash": ("upstream", {}, 139, "moqui-1 crashed while it saved its dose", True),
    "early-crash": ("upstream", {}, 139, "crashed before it computed anything", False),
    "killed": ("upstream", {}, 137, "SIGKILL", True),
    "terminated": ("upstream", {}, 143, "SIGTERM", True),
    "zero": ("upstream", {}, 0, "moqui-1 had no histories to compute", False),
    "short": ("upstream", {}, 0, "bytes, expected", True),
    "empty": ("upstream", {}, 66, "exited 0 without Outputs-1/beam_1_0_Dose.mha", True),
    "disk-full": ("upstream", {}, 0, "Error occurred at writing time!", True),
    "unwritable": ("upstream", {}, 66, "Cannot open file!", True),
    "no-product": ("upstream", {}, 66, "exited 0 without", True),
    "no-end": ("upstream", {}, 0, "the log has no end mark", True),
    "cuda": ("upstream", {}, 255, "CUDA driver version is insufficient", False),
    "cuda-memory": ("upstream", {}, 2, "GPUassert: out of memory", True),
    "no-free-gpu": ("clinic", {}, 1, "No free GPU remains after BeamLayerMultiGpu filtering", True),
    "hang": ("fork", {"time_limit_s": 3}, 124, "reached its time limit", False),
    "nan": ("upstream", {}, 0, "not finite (NaN or infinite)", None),
    "negative": ("upstream", {}, 0, "is negative somewhere", None),
    "wrong-grid": ("upstream", {}, 0, "DimSize is", None),
    "wrong-origin": ("upstream", {}, 0, "Origin is", None),
    "out-of-bound": ("upstream", {}, 0, "out-of-bound", False),
    "other-spots": ("upstream", {}, 0, "it read other spots", False),
    "seed-blind": ("upstream", {}, 0, "the same dose", None),
    "dcm-unsaved": ("clinic", {}, 66, "Could not save DICOM file", True),
    "dcm-coarse": ("clinic", {}, 0, "stored in 38 steps", None),
}
READ = {fault for fault, (*_, retryable) in FAILS.items() if retryable is None}  # refused when the dose is read


def recorded() -> dict[str, dict[str, Any]]:
    """For each fault that the log and the files tell of: exit code, the log as it is judged, sizes of products."""
    record: dict[str, dict[str, Any]] = json.loads(RECORD.read_text())
    return record


def main() -> None:
    """Run the stand-in with each fault and record exit code, log and sizes."""
    record = {}
    for fault in FAULTS:
        if fault not in READ:
            with tempfile.TemporaryDirectory() as name:
                record[fault] = _run(fault, Path(name))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def _run(fault: str, folder: Path) -> dict[str, Any]:
    flavour, *_ = FAILS[fault]
    options: dict[str, Any] = FAILS[fault][1]
    program = site.install(folder / "host", flavour=flavour, fault=fault)
    engine = site.engine(site.sections(program, folder / "beam_file.txt", flavour, **FAST, **options))
    site.write_sample(folder / "case", flavour=flavour)
    plan, ct = sound_plan(folder / "case/RP.dcm"), read_ct(sorted((folder / "case").glob("CT*")))
    for path, data in engine.case(PreparedCase(plan, ct)).files().items():
        (folder / "input" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "input" / path).write_bytes(data)
    run = folder / "runs/run-0"
    run.mkdir(parents=True)
    job = engine.job(JobRequest(1, 1))
    work = job.work()
    code, log = do(work, run)
    sizes = {path: (run / path).stat().st_size for path in work.products if (run / path).exists()}
    if isinstance(job.judge(code, looked_at(log), sizes), Refused):
        log = looked_at(log)  # otherwise the whole log, which is fetched with the dose, tells it
    return {"code": code, "log": log.replace(os.fspath(folder), "/site"), "sizes": sizes}


if __name__ == "__main__":
    main()
