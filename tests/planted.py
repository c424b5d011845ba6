"""A store like that of a clinic after years, written row by row; no case of it was computed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mqi_communicator.store.database import Database
from mqi_communicator.store.schema import breakers, cases, events, figures, hosts, jobs, work_items

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_WORDS = ("pass",) * 90 + ("review",) * 4 + ("fail",) * 3 + ("undecided",) * 2 + ("not_judged",)
_WHY = {
    "pass": "all 20 checks passed",
    "review": "only 93.4 % of the points agree within 3 %/2 mm",
    "fail": "the computed range is 5 mm deeper than planned",
    "undecided": "the statistical uncertainty is 1.8 %, too high for a verdict",
    "not_judged": "nobody has commissioned the beam model of GTR2",
}
_WAY = ("admit", "prepare", "upload", "compare", "deliver", "tidy")
_BEAM_WAY = ("submit", "follow", "collect", "verify")
HOSTS = ("gpu1", "gpu2")
MACHINES = ("GTR1", "GTR2")
LABELS = ("PROST", "HN_BOOST", "LUNG_L", "BRAIN")
BEAMS = (1, 2)
CHUNK = 2000


@dataclass(slots=True)
class Rows:
    """Rows by table, until there are enough of them to be written."""

    by_table: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: Any, **values: Any) -> None:
        self.by_table.setdefault(table, []).append(values)


def plant(database: Database, watch: Path, results: Path, now: float, *, ended: int, seed: int = 1) -> list[str]:
    """Write `ended` ended cases, one every ten minutes up to now, and a dozen open ones. Returns the keys of the open
    ones, in the order of `LIVE`."""
    chance = random.Random(seed)
    rows = Rows()
    for number in range(ended):
        _ended(rows, chance, watch, results, number, now - 3600 - 600.0 * (ended - number))
        if number % CHUNK == CHUNK - 1:
            _write(database, rows)
    live = list(_live(rows, chance, watch, now))
    _places(rows, now)
    _write(database, rows)
    return live


def _write(database: Database, rows: Rows) -> None:
    def change(connection: Any) -> None:
        for table in (cases, work_items, jobs, events, figures, hosts, breakers):
            if found := rows.by_table.get(table):
                connection.execute(table.insert(), found)

    database.write_now(change)
    rows.by_table.clear()


def _key(chance: random.Random) -> str:
    return "".join(chance.choice(_LETTERS) for _ in range(12))


def _case(rows: Rows, watch: Path, key: str, name: str, at: float, **more: Any) -> None:
    values = {
        "source": os.fsencode(watch / name), "seen": at, "fingerprint": f"{key * 5}", "changed": at,
        "lineage": f"{key}-lineage" * 3, "content": f"{key}-content" * 3, "revision": 1, "same_as": "",
        "superseded_by": "", "word": "", "why": "", "results": "", "host": "gpu1", "priority": "routine", "rank": at,
        "demand": "", "signature": "", "signed_by": "", "signed_at": 0.0, "patient_id": "", "plan_label": "",
        "machine": "", **more,
    }  # fmt: skip
    rows.add(cases, key=key, **values)


def _line(rows: Rows, key: str, beam: int, step: str, status: str, at: float, **more: Any) -> None:
    values = {"tries": 0, "run": 1, "base_run": 1, "due": at, "since": at, "reason": "", "advice": "", "wanted": "",
              "needs_person": False, **more}  # fmt: skip
    rows.add(work_items, case=key, beam=beam, step=step, status=status, **values)


def _event(
    rows: Rows, key: str, beam: int, event: str, step: str, at: float, *, why: str = "", took: float = 0
) -> None:
    facts = json.dumps({"took_s": took, "attempt": 1, "run": 1})
    rows.add(
        events, at=at, case=key, beam=beam, event=event, step=step, before="ready", after="ready", who="mqi", why=why,
        facts=facts,
    )  # fmt: skip


def _job(rows: Rows, key: str, beam: int, host: str, state: str, at: float, **more: Any) -> None:
    values = {"run": 1, "active": False, "scheduler_id": "", "claimed": at, "started": at, "ended": None,
              "exit_code": None, "percent": None, "uncertainty": None, "products": "{}", "raw": "", "gpus": "",
              **more}  # fmt: skip
    rows.add(jobs, token=f"{key}-b{beam}-r1", case=key, beam=beam, host=host, state=state, **values)


def _ended(rows: Rows, chance: random.Random, watch: Path, results: Path, number: int, at: float) -> None:
    key, word = _key(chance), chance.choice(_WORDS)
    host, machine = chance.choice(HOSTS), chance.choice(MACHINES)
    broken = number % 200 == 17
    status, step = ("failed", "compare") if broken else ("done", "tidy")
    reported: dict[str, Any] = {} if broken else {"word": word, "why": _WHY[word], "results": str(results / key)}
    signed = not broken and number % 10 < 8
    reported |= {"signature": "" if broken else "signed" if signed else "unsigned"}
    reported |= {"signed_by": "phil", "signed_at": at + 3600} if signed else {"signed_by": "", "signed_at": 0.0}
    identity = {"patient_id": f"ID-{number:06d}", "plan_label": LABELS[number % len(LABELS)], "machine": machine}
    _case(rows, watch, key, f"QA-{number:06d}", at, host=host, **identity, **reported)
    why = "beam 2 failed: 3 runs ended without a result" if broken else ""
    end = at + 420 + chance.random() * 120
    _line(rows, key, 0, step, status, end, reason=why, advice="mqi retry computes the beams again" if broken else "")
    _event(rows, key, 0, "case.seen", "admit", at)
    for place, name in enumerate(_WAY):
        when = at + 10 * (place + 1) if place < 3 else end - 10 * (5 - place)
        _event(rows, key, 0, "case.done" if name == "tidy" else "step.done", name, when, took=5 + chance.random())
    for beam in BEAMS:
        _line(rows, key, beam, "verify", "done", end - 60)
        for place, name in enumerate(_BEAM_WAY):
            _event(rows, key, beam, "step.done", name, at + 40 + 80 * place + 10 * beam, took=3)
        _job(rows, key, beam, host, "ended", at + 60, ended=at + 60 + 150 + 40 * chance.random(), exit_code=0,
             percent=100.0, uncertainty=0.011)  # fmt: skip
    if not broken:
        _figures(rows, chance, key, machine, word, end)


def _figures(rows: Rows, chance: random.Random, key: str, machine: str, word: str, at: float) -> None:
    gamma = 88.0 if word == "fail" else 92.0 if word == "review" else 98.0
    for name, value, unit in (
        ("gamma", gamma + 2 * chance.random(), "%"),
        ("dose_scale", chance.gauss(1, 0.004), "ratio"),
    ):
        rows.add(
            figures, case=key, name=name, scope="plan", at=at, machine=machine, word=word, value=value, unit=unit
        )  # fmt: skip


LIVE = ("key changed", "incomplete", "computing", "queued", "background", "held", "uploading")


def _live(rows: Rows, chance: random.Random, watch: Path, now: float) -> Iterator[str]:
    keys = {name: _key(chance) for name in LIVE}
    for place, (name, key) in enumerate(keys.items()):
        at = now - 900 + 60 * place
        priority = "urgent" if name == "key changed" else "background" if name == "background" else "routine"
        _case(
            rows, watch, key, f"today-{place + 1}", at, host="" if name == "incomplete" else "gpu1", priority=priority
        )
        _event(rows, key, 0, "case.seen", "admit", at)
        _event(rows, key, 0, "step.done", "admit", at + 20, took=6)
    _line(rows, keys["key changed"], 0, "upload", "waiting", now - 300, due=now + 90, needs_person=True,
          reason="host key mismatch for gpu1",
          advice="have its administrator read the new fingerprint, then renew ssh.known_hosts_file")  # fmt: skip
    _line(rows, keys["incomplete"], 0, "admit", "waiting", now - 100, due=now + 2,
          reason="waiting: 2 of 187 CT slices are missing")  # fmt: skip
    for name in ("computing", "queued", "background"):
        _line(rows, keys[name], 0, "compare", "waiting", now - 200, due=now + 50, reason="0 of 2 beams are computed")
        for place, step in enumerate(("prepare", "upload")):
            _event(rows, keys[name], 0, "step.done", step, now - 300 + 60 * place, took=40)
        for beam in BEAMS:
            _beam(rows, keys[name], beam, now, computing=name == "computing")
    _line(rows, keys["held"], 0, "prepare", "held", now - 500, reason="held by order")
    _line(rows, keys["uploading"], 0, "upload", "ready", now - 8)
    yield from keys.values()


def _beam(rows: Rows, key: str, beam: int, now: float, *, computing: bool) -> None:
    if not computing:
        _line(rows, key, beam, "submit", "waiting", now - 200, due=now + 1,
              reason="waiting for a free job slot on gpu1: 2 of 2 in use (resources.jobs)")  # fmt: skip
        return
    percent = 31.0 + 27 * beam
    _event(rows, key, beam, "beam.started", "submit", now - 180)
    _event(rows, key, beam, "step.done", "submit", now - 100, took=2)
    _line(rows, key, beam, "follow", "waiting", now - 100, due=now + 2, reason=f"computing, {percent:.0f} %")
    _job(rows, key, beam, "gpu1", "running", now - 100, active=True, percent=percent, gpus=f"GPU-{beam}")


def _places(rows: Rows, now: float) -> None:
    gpus = [
        {"index": str(one), "name": f"GPU-{one + 1}", "total_mib": 143771, "used_mib": 21504 if one < 2 else 0,
         "percent": 97 - 3 * one if one < 2 else 0, "celsius": 64 - 9 * one, "ours_mib": 21504 if one < 2 else 0,
         "foreign": 0}
        for one in range(3)
    ]  # fmt: skip
    state = {"taken": 2, "slots": 2, "gpus": gpus, "gpu_trouble": "", "stopped": False}
    rows.add(hosts, name="gpu1", seen=now - 2, state=json.dumps(state))
    rows.add(hosts, name="gpu2", seen=now - 700, state=json.dumps({"taken": 0, "slots": 4, "gpus": []}))
    why = "ssh: connect to host gpu2.example.org port 22: Connection timed out"
    breaker = {"state": "open", "recent": [], "opened_at": now - 600, "probe_at": now + 60, "openings": 4, "why": why}
    rows.add(breakers, name="gpu2:commands", state=json.dumps(breaker))
