"""Makes the pictures of docs/dashboard.md: python -m tests.browser.pictures [DIR]. All data in them is synthetic."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from mqi_communicator.results.documents import as_json, verdict_document
from mqi_communicator.results.verdict import Check, CheckOutcome, worst
from mqi_communicator.store.database import open_database
from tests.boards import Board, add_user, configure, dashboard
from tests.browser.driving import NARROW, Browser, browser
from tests.planted import LIVE, plant
from tests.viewed import KEY, sample, viewed

HERE = Path(__file__).resolve().parents[2] / "docs/pictures"
WIDTH, TALLEST = 1100, 1050  # pixels
_LIMITS = {
    "gamma": (">= 95 % pass, >= 90 % review", 98.7, "%", 14380),
    "dose_scale": ("1 ± 2 % pass, ± 3 % review", 1.002, "ratio", 501),
    "range_r80": ("within ± 1.5 mm pass, ± 2.5 mm review", -0.4, "mm", 219),
}


def main(target: Path) -> None:
    """Every page, wide and light; the two most used also as on a phone at night."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mqi-pictures-") as name:
        base = Path(name)
        config = configure(base)
        database = open_database(base / "workspace/store.sqlite3")
        keys = dict(zip(LIVE, plant(database, base / "watch", base / "results", time.time(), ended=400), strict=True))
        database.close()
        add_user(config, "otto")
        # the store is locked, so that the pages show a running communicator
        with dashboard(config) as board, _owned(base / "workspace/owner.lock"):
            done = _delivered(board, base)
            pages = {"worklist": "/", "case": f"/case/{done}", "history": "/history", "system": "/system"}
            with browser(board.address) as person:
                person.sign_in("otto")
                for page, path in pages.items():
                    _take(person, path, target / f"{page}-wide-light.png", (WIDTH, 800), dark=False)
                for page, path in {"worklist": "/", "case": f"/case/{keys['computing']}"}.items():
                    _take(person, path, target / f"{page}-narrow-dark.png", NARROW, dark=True)
        _viewer(base / "viewed", target)


def _viewer(base: Path, target: Path) -> None:
    """The viewer, wide and narrow."""
    shown = viewed(base, draft=sample("HFS", "standard"))
    with dashboard(shown.config) as board, _owned(base / "workspace/owner.lock"), browser(board.address) as person:
        person.sign_in("otto")
        for name, size, dark in (("wide-light", (WIDTH, 800), False), ("narrow-dark", NARROW, True)):
            person.resize(size, dark=dark)
            person.go(f"/case/{KEY}/viewer")
            person.until(lambda: person.find("#viewer").get_attribute("data-ready"), "loaded")
            time.sleep(0.5)
            person.driver.save_screenshot(str(target / f"viewer-{name}.png"))


def _delivered(board: Board, base: Path) -> str:
    """Create the results folder of a case that passed."""
    with board.signed_in("otto") as client:
        key = str(client.post("/api/v1/search", json={"word": "pass", "limit": 1}).json()["cases"][0]["case"])
    checks = tuple(
        Check(name, scope, CheckOutcome.PASS, value, unit, limit, points, 0.008)
        for scope in ("plan", "beam 1", "beam 2")
        for name, (limit, value, unit, points) in _LIMITS.items()
        if (scope, name) != ("plan", "range_r80")
    )
    folder = base / "results" / key
    folder.mkdir()
    (folder / "verdict.json").write_bytes(as_json(verdict_document(key, worst(checks))))
    (folder / "report.html").write_text("<!doctype html><title>report</title>", encoding="utf-8")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n")
    return key


def _take(person: Browser, path: str, target: Path, size: tuple[int, int], *, dark: bool) -> None:
    person.resize(size, dark=dark)
    person.go(path)
    time.sleep(0.5)  # for the icons of the browser's own fields; a picture proves nothing
    tall = int(person.driver.execute_script("return document.documentElement.scrollHeight"))
    person.resize((size[0], min(max(size[1], tall), TALLEST)), dark=dark)
    person.driver.save_screenshot(str(target))


def _owned(path: Path):
    import fcntl

    handle = path.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE)
