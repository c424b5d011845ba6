"""Count the results of a fleet without code of the product: from results, engine records, store and host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread

from tests.fleet import noisy
from tests.fleet.cases import plan_uid

_LINE = re.compile(r"(start|end) ([\d.]+) (\S+) case=(\d+) beam=(\d+) gpus=(\S*) pid=(\d+)(?: model=(\w*))?")
_MODEL = re.compile(r"sha256 ([0-9a-f]{12})")


@dataclass
class Run:
    """One run of one beam, as the engine recorded it."""

    token: str
    case: int
    beam: int
    gpus: tuple[str, ...]
    start: float
    end: float | None = None
    model: str = ""  # first 12 digits of the SHA-256 of its beam model


@dataclass
class Audit:
    """The findings. Every list except `done` should be empty."""

    done: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)  # cases without a result
    doubled: list[str] = field(default_factory=list)  # two runs of one beam alive at once, or one token run twice
    shared: list[str] = field(default_factory=list)  # two jobs on one GPU at once
    mixed: list[str] = field(default_factory=list)  # a dose of another case or beam
    corrupt: list[str] = field(default_factory=list)  # results that differ from their manifest
    stale: list[str] = field(default_factory=list)  # a result of a superseded run
    twice: list[str] = field(default_factory=list)  # two results of one case
    fractions: set[tuple[int, str]] = field(default_factory=set)  # case and label of those that passed
    waiting: dict[int, str] = field(default_factory=dict)  # cases that require action or failed, and why

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, nothing unnoticed."""
        return not (self.lost or self.doubled or self.shared or self.mixed or self.corrupt or self.stale or self.twice)

    def summary(self) -> str:
        """In one line: defects, and other findings."""
        always, others = ("lost", "doubled", "mixed"), ("shared", "corrupt", "stale", "twice", "waiting")
        counts = {name: len(getattr(self, name)) for name in ("done", *always, *others)}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count or name not in others)


def runs_of(witness: Path) -> list[Run]:
    """Every run that the engine recorded, in order."""
    runs: dict[tuple[str, str], Run] = {}
    for line in witness.read_text().splitlines() if witness.exists() else ():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        what, at, token, case, beam, gpus, pid, model = found.groups()
        if what == "start":
            names = tuple(name for name in gpus.split(",") if name)
            runs[token, pid] = Run(token, int(case), int(beam), names, float(at), model=model or "")
        elif (token, pid) in runs:
            runs[token, pid].end = float(at)
    return list(runs.values())


def audit(expected: Iterable[int], results: Path, witness: Path, store: Path, *, programs: int = 2) -> Audit:
    """Check everything. `programs`: how often the engine runs in one job."""
    found = Audit()
    of_uid = {plan_uid(number): number for number in expected}
    _look_at_runs(found, runs_of(witness), programs)
    _look_at_results(found, results, of_uid)
    _look_at_runs_after(found, results, runs_of(witness))
    _look_at_models(found, results, runs_of(witness))
    _look_at_longer_runs(found, results, of_uid)
    found.lost = sorted(set(of_uid.values()) - set(found.done))
    _look_at_store(found, store)
    return found


def _look_at_runs(found: Audit, runs: list[Run], programs: int) -> None:
    per_token: dict[str, int] = defaultdict(int)
    for run in runs:
        per_token[run.token] += 1
    found.doubled += [f"{token} ran {count} programs" for token, count in per_token.items() if count > programs]
    for one, other in _overlaps(runs, key=lambda run: (run.case, run.beam)):
        if one.token != other.token:
            found.doubled.append(f"{one.token} and {other.token} at once")
    for one, other in _overlaps([run for run in runs if run.gpus], key=lambda run: run.gpus[:1]):
        if one.token != other.token:
            found.shared.append(f"{one.token} and {other.token} on {one.gpus[0]}")


def _overlaps(runs: list[Run], key: Callable[[Run], object]) -> list[tuple[Run, Run]]:
    """Pairs of simultaneous runs. A run without an end was killed at an unknown time, and counts as short."""
    groups: dict[object, list[Run]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    pairs = []
    for group in groups.values():
        ordered = sorted(group, key=lambda run: run.start)
        for one, other in pairwise(ordered):
            if one.end is not None and other.start < one.end:
                pairs.append((one, other))
    return pairs


def _look_at_results(found: Audit, results: Path, of_uid: dict[str, int]) -> None:
    seen: dict[tuple[int, str], str] = {}
    for folder in sorted(results.iterdir()):
        if folder.name.startswith("."):
            continue
        manifest = _manifest(folder)
        if not manifest:
            found.corrupt.append(f"{folder.name} has no manifest")
            continue
        found.corrupt += _differing(folder, manifest)
        if (folder / "delivery.json").is_file():
            _look_at_fraction(found, folder, of_uid)
            continue
        numbers = {_case_of(found, folder, beam, of_uid) for beam in _beams(folder)}
        number = numbers.pop() if len(numbers) == 1 else None
        if number is None:
            found.mixed.append(f"{folder.name} holds doses of several cases")
        elif seen.setdefault((number, _basis(folder)), _key(folder)) != _key(folder):
            found.twice.append(f"case {number}")
        elif number not in found.done:
            found.done.append(number)
        found.stale += _superseded(manifest)
        if (wrong := _sum_differs(folder)) > 0:
            found.mixed.append(f"{folder.name}: the plan's dose is not the sum of the beams in {wrong} voxels")


def _differing(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Delivered files that differ from their manifest."""
    paths = {output["name"]: output["sha256"] for output in manifest["outputs"]}
    return [
        f"{folder.name}/{name}"
        for name, digest in paths.items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def _look_at_fraction(found: Audit, folder: Path, of_uid: dict[str, int]) -> None:
    """The verdict on a fraction: every record was made as planned."""
    verdict = json.loads((folder / "delivery.json").read_text())
    labels = [one["label"] for one in verdict["fractions"]]
    number = of_uid.get(verdict["plan"])
    if number is None or len(labels) != 1 or verdict["word"] != "pass":
        found.mixed.append(f"{folder.name}: {labels} of case {number}: {verdict['why']}")
    else:
        found.fractions.add((number, labels[0]))


def _manifest(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((folder / "manifest.json").read_text()))
    return {}


def _key(folder: Path) -> str:
    """The case's key: a later judgement of it is delivered into KEY-judged-N."""
    return folder.name.partition("-")[0]


def _judgement(folder: Path) -> int:
    return int(folder.name.rpartition("-judged-")[2]) if "-judged-" in folder.name else 1


def _last_judgements(results: Path) -> list[Path]:
    """The folder of the last judgement of each case."""
    last: dict[str, Path] = {}
    for folder in sorted(results.iterdir(), key=_judgement):
        if not folder.name.startswith("."):
            last[_key(folder)] = folder
    return sorted(last.values())


def _beams(folder: Path) -> list[int]:
    return sorted(int(path.stem.rpartition("-")[2]) for path in (folder / "dose").glob("beam-*.dcm"))


def _basis(folder: Path) -> str:
    """What a constancy run was computed for, which has a result for each; "" for a patient's case, which has one."""
    with contextlib.suppress(OSError):
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        return next((json.dumps(one["facts"]["basis"]) for one in events if "basis" in one["facts"]), "")
    return ""


def _gray(file: Path) -> np.ndarray:
    ds = dcmread(file)
    return np.asarray(ds.pixel_array, dtype=float) * float(ds.DoseGridScaling)


def _sum_differs(folder: Path) -> int:
    """In how many voxels the plan's dose is not the sum of the beams' doses."""
    total = sum(_gray(folder / "dose" / f"beam-{beam}.dcm") for beam in _beams(folder))
    plan = _gray(folder / "dose" / "plan.dcm")
    return int(np.count_nonzero(np.abs(plan - total) > 3e-4 * plan.max()))


def _look_at_runs_after(found: Audit, results: Path, runs: list[Run]) -> None:
    """Check that a delivered result is from the last run of its beam that was started."""
    last: dict[str, int] = {}
    for run in runs:
        beam, _, number = run.token.rpartition("-r")
        last[beam] = max(last.get(beam, 0), int(number))
    for folder in _last_judgements(results):
        for run in _manifest(folder).get("runs", ()):
            beam, _, number = run["token"].rpartition("-r")
            if last.get(beam) != int(number):
                found.stale.append(f"{run['token']} was delivered, the last run that began is {last.get(beam)}")


def _look_at_models(found: Audit, results: Path, runs: list[Run]) -> None:
    """Check that a result names the beam model that the engine read."""
    read: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        read[run.token] |= {run.model} - {""}
    for folder in sorted(results.iterdir()):
        if folder.name.startswith("."):
            continue
        manifest = _manifest(folder)
        named = set(_MODEL.findall(" ".join(map(str, manifest.get("engine", {}).values()))))
        for run in manifest.get("runs", ()):
            if other := read[run["token"]] - named:
                found.mixed.append(f"{run['token']} was computed with model {other}, its result names {named}")


def _look_at_longer_runs(found: Audit, results: Path, of_uid: dict[str, int]) -> None:
    """Check that a case whose noise required a longer run got it, and that its judgement counts."""
    for folder in _last_judgements(results):
        beams = _beams(folder)
        if not beams or _case_of(found, folder, beams[0], of_uid) not in noisy.NUMBERS:
            continue
        verdict = json.loads((folder / "verdict.json").read_text())
        if verdict["word"] == "undecided" and not verdict["extension"]["made"]:
            found.stale.append(f"{folder.name}: its longer run was not made: {verdict['why']}")


def _case_of(found: Audit, folder: Path, beam: int, of_uid: dict[str, int]) -> int | None:
    """The case of a beam's dose, from its voxels; recorded if its references name another."""
    ds = dcmread(folder / "dose" / f"beam-{beam}.dcm")
    reported = of_uid.get(str(ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID))
    if reported in noisy.NUMBERS:
        return reported
    values = np.asarray(ds.pixel_array, dtype=float).ravel()
    level = float(np.median(values))
    twice = [int(n) for n in np.flatnonzero((values > 1.5 * level) & (values < 2.5 * level))]
    thrice = [int(n) for n in np.flatnonzero(values > 2.5 * level)]
    odd = np.count_nonzero(np.abs(values / level - 1) > 1e-3) - len(twice) - len(thrice)
    if odd:
        found.mixed.append(f"{folder.name}: beam {beam} holds {odd} voxels that no engine wrote")
    if len(twice) != 1 or thrice != [4000 + beam]:
        found.mixed.append(f"{folder.name}: beam {beam} holds a dose of beam {[n - 4000 for n in thrice]}")
        return reported
    if reported != twice[0]:
        found.mixed.append(f"{folder.name}: beam {beam} is of case {twice[0]} and says {reported}")
    return twice[0]


def _superseded(manifest: dict[str, Any]) -> list[str]:
    """Results of one beam by several runs, or by a token that is not of its run."""
    beams = [run["beam"] for run in manifest["runs"]]
    wrong = [run["token"] for run in manifest["runs"] if not run["token"].endswith(f"-b{run['beam']}-r{run['run']}")]
    return wrong + [f"beam {beam} has two runs" for beam in set(beams) if beams.count(beam) > 1]


def _look_at_store(found: Audit, store: Path) -> None:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "select cases.source, work_items.status, work_items.needs_person, work_items.reason from work_items "
            "join cases on cases.key = work_items.'case' where work_items.status != 'done' and cases.same_as = ''"
        ).fetchall()
    for source, status, needs_person, reason in rows:
        name = re.search(rb"case (\d+)", source)
        if name and (needs_person or status == "failed"):
            found.waiting[int(name[1])] = f"{status}: {reason}"
