"""Cost of the dashboard's pages at the server, with many cases in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from bench.idle import cpu_s
from tests.boards import add_user, configure, dashboard
from tests.planted import MACHINES, plant

from mqi_communicator.store.database import open_database


@dataclass(frozen=True, slots=True)
class Cost:
    """Repeated timings of one page, in ms. On a busy machine the processor time is more informative."""

    page: str
    median_ms: float
    worst_ms: float
    cpu_ms: float  # of the server, a page


def pages(base: Path, *, cases: int, rounds: int = 15) -> tuple[list[Cost], float]:
    """Every page of a dashboard over `cases` cases; and the memory of its process in MiB."""
    config = configure(base)
    database = open_database(base / "workspace/store.sqlite3")
    live = plant(database, base / "watch", base / "results", time.time(), ended=cases)
    database.close()
    add_user(config, "otto")
    with dashboard(config) as board, board.signed_in("otto") as browser:
        pid = board.process.pid
        return [_cost(browser, pid, *one, rounds) for one in _requests(browser, live)], _rss_mib(pid)


def _requests(browser: httpx.Client, live: list[str]) -> Iterator[tuple[str, str, dict[str, str] | None]]:
    done = browser.post("/api/v1/search", json={"word": "pass", "limit": 1}).json()
    yield "now", "/", None
    yield "case under way", f"/case/{live[2]}", None
    yield "case that has ended", f"/case/{done['cases'][0]['case']}", None
    yield "history", "/history", None
    for name, wanted in (
        ("history, of one verdict", {"word": "fail"}),
        ("history, of one state", {"state": "failed"}),
        ("history, of one machine", {"machine": MACHINES[0]}),
        ("history, by a folder's name, a late page", {"text": "QA-0000"}),
        ("history, by a name that nobody has", {"text": "nobody"}),
    ):
        yield name, "/history", wanted
    yield "system", "/system", None
    yield "api: now", "/api/v1/now", None
    yield "api: status", "/api/v1/status", None


def _cost(browser: httpx.Client, pid: int, name: str, path: str, form: dict[str, str] | None, rounds: int) -> Cost:
    took = []
    before = cpu_s(pid)
    for _ in range(rounds):
        began = time.perf_counter()
        answer = browser.get(path) if form is None else browser.post(path, data=form)
        took.append(1000 * (time.perf_counter() - began))
        answer.raise_for_status()
        time.sleep(0.05)
    return Cost(name, median(took), max(took), 1000 * (cpu_s(pid) - before) / rounds)


def _rss_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:"))) / 1024
