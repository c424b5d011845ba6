"""The page and the viewer of a delivered case in Chromium: the DVH is read, and nothing is a barrier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.boards import Board, dashboard
from tests.browser.axe import violations
from tests.browser.driving import NARROW, WIDE, Browser, browser
from tests.judged import KEY
from tests.reviewed import reviewed

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reviewed") / "site"
    reviewed(folder)
    return folder


@pytest.fixture(scope="module")
def board(base) -> Iterator[Board]:
    with dashboard(base / "config.yaml") as made:
        yield made


def read(person: Browser) -> tuple[float, list[list[float]]]:
    """The dose at the cursor, and planned and computed volume of each structure, as they are shown."""
    cells = person.driver.execute_script(
        "return [...document.querySelectorAll('td.at')].filter((e) => !e.hidden).map((e) => e.innerText)"
    )
    return float(person.text("#dvh output").split(" ")[0]), [[float(text) for text in cell.split()] for cell in cells]


def test_both_doses_are_read_off_the_dvh_by_pointer_and_by_keyboard(board, base):
    dvh = json.loads((base / "results" / KEY / "report.json").read_text())["dvh"]
    curves = [(one["planned"], one["computed"]) for one in dvh["structures"]]

    def expected(gy: float) -> list[list[float]]:
        axis = dvh["step_gy"] * np.arange(len(curves[0][0]))
        return [[float(np.interp(gy, axis, curve)) for curve in pair] for pair in curves]

    with browser(board.address) as person:
        person.sign_in("phil")
        person.go(f"/case/{KEY}")
        chart = person.find("#dvh svg")
        assert person.driver.execute_script("return document.querySelector('td.at').hidden")
        for across in (-120, 0, 90):
            ActionChains(person.driver).move_to_element_with_offset(chart, across, 0).perform()
            gy, shown = read(person)
            assert np.allclose(shown, expected(gy), atol=0.6), gy  # the dose is shown to 0.01 Gy
        slider = person.tab_to(lambda at: bool(at.get_attribute("max")) and at.tag_name == "input", "the slider")
        doses = [read(person)[0]]
        for _ in range(3):
            slider.send_keys(Keys.ARROW_RIGHT)
            doses.append(read(person)[0])
            assert np.allclose(read(person)[1], expected(doses[-1]), atol=0.6)
        assert all(low < high for low, high in pairwise(doses))
        box = person.find("#dvh input[type=checkbox]")
        box.click()
        assert "off" in str(person.find("#dvh svg > g").get_attribute("class"))
        assert person.console_errors() == []


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide-light", "narrow-dark"])
def test_case_and_viewer_have_no_barrier(board, size, dark):
    with browser(board.address, size, dark=dark) as person:
        person.sign_in("phil")
        found, wider = {}, {}
        for path in ("/", f"/case/{KEY}", f"/case/{KEY}/viewer"):
            person.go(path)
            if path.endswith("viewer"):
                person.until(lambda: person.find("#viewer").get_attribute("data-ready"), "loaded")
            person.driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            found[path], wider[path] = violations(person), person.overflow
    assert {path: some for path, some in found.items() if some} == {}
    assert set(wider.values()) == {0}
