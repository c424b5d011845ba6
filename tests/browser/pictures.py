"""Makes the pictures of docs/dashboard.md: python -m tests.browser.pictures [DIR]. All data in them is synthetic."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains

from mqi_communicator.store.database import open_database
from tests.boards import add_user, configure, dashboard
from tests.browser.driving import NARROW, Browser, browser
from tests.judged import KEY
from tests.planted import LIVE, plant
from tests.reviewed import reviewed

HERE = Path(__file__).resolve().parents[2] / "docs/pictures"
WIDTH, TALLEST = 1100, 1050  # pixels


def main(target: Path, size: str = "standard") -> None:
    """Every page, wide and light; the most used also as on a phone at night. `size`: of the sample that is reviewed."""
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
            pages = {"worklist": "/", "history": "/history", "system": "/system"}
            with browser(board.address) as person:
                person.sign_in("otto")
                for page, path in pages.items():
                    _take(person, path, target / f"{page}-wide-light.png", (WIDTH, 800), dark=False)
                for page, path in {"worklist": "/", "computing": f"/case/{keys['computing']}"}.items():
                    _take(person, path, target / f"{page}-narrow-dark.png", NARROW, dark=True)
        _case_and_viewer(base / "reviewed", target, size)


def _case_and_viewer(base: Path, target: Path, size: str) -> None:
    """A case to be signed, and its viewer; wide and narrow."""
    config = reviewed(base, size=size)
    looks = (("wide-light", (WIDTH, 800), False), ("narrow-dark", NARROW, True))
    with dashboard(config) as board, _owned(base / "workspace/owner.lock"), browser(board.address) as person:
        person.sign_in("phil")
        for name, window, dark in looks:
            _take(person, f"/case/{KEY}", target / f"case-{name}.png", window, dark=dark, tallest=1500)
            _dvh(person, target / f"dvh-{name}.png", window[0], dark=dark)
            person.resize(window, dark=dark)
            person.go(f"/case/{KEY}/viewer")
            person.until(lambda: person.find("#viewer").get_attribute("data-ready"), "loaded")
            time.sleep(0.5)
            person.driver.save_screenshot(str(target / f"viewer-{name}.png"))


def _dvh(person: Browser, target: Path, width: int, *, dark: bool) -> None:
    """The DVH of the present page with its table, with the pointer over it."""
    person.resize((width, 6000), dark=dark)  # an element's picture shows what is in the window
    ActionChains(person.driver).move_to_element(person.find("#dvh svg")).perform()
    person.find("#dvh").screenshot(str(target))


def _take(
    person: Browser, path: str, target: Path, size: tuple[int, int], *, dark: bool, tallest: int = TALLEST
) -> None:
    person.resize(size, dark=dark)
    person.go(path)
    time.sleep(0.5)  # for the icons of the browser's own fields; a picture proves nothing
    tall = int(person.driver.execute_script("return document.documentElement.scrollHeight"))
    person.resize((size[0], min(max(size[1], tall), tallest)), dark=dark)
    person.driver.save_screenshot(str(target))


def _owned(path: Path):
    import fcntl

    handle = path.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else HERE)
