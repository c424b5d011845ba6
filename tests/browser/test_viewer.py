"""The viewer in Chromium, without WebGL: planes, wheel, keys, numbers, structures, sides of the patient."""

from __future__ import annotations

import json

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from tests.boards import board_of
from tests.browser.driving import NARROW, WIDE, Browser, browser
from tests.viewed import KEY, LEFT, Viewed, drawn, left_of_target, rtdose, viewed

NO_WEBGL = ("--disable-3d-apis",)
BLUE = "const wanted = (p, i) => p[i] < 60 && p[i + 1] > 100 && p[i + 1] < 160 && p[i + 2] > 230;"
FIND = """
const canvas = document.querySelector('#pane-' + arguments[0] + ' canvas');
const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height), p = image.data;
let count = 0, x = 0, y = 0;
for (let i = 0; i < p.length; i += 4)
  if (wanted(p, i)) { count += 1; x += (i / 4) % canvas.width; y += Math.floor(i / 4 / canvas.width); }
return [count, x / count / canvas.width, y / count / canvas.height];
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Viewed:
    return viewed(tmp_path_factory.mktemp("viewer") / "site", "HFP")


board = board_of("shown")


@pytest.fixture(scope="module")
def person(board):
    with browser(board.address, extra=NO_WEBGL) as made:
        made.sign_in("vera")
        yield made


def opened(person: Browser) -> Browser:
    person.go(f"/case/{KEY}/viewer")
    person.until(
        lambda: person.driver.execute_script("return document.getElementById('viewer')?.dataset.ready"), "loaded"
    )
    settled(person)
    return person


def settled(person: Browser) -> None:
    """Wait until what was changed is drawn."""
    person.driver.execute_async_script(
        "const done = arguments[0], next = requestAnimationFrame; next(() => next(() => next(done)))"
    )


def go_to(person: Browser, point: tuple[float, float, float]) -> None:
    person.driver.execute_script(
        """[...'xyz'].forEach((name, i) => { document.getElementById('at-' + name).value = arguments[0][i]; });
        document.getElementById('at-z').dispatchEvent(new Event('change'))""",
        list(point),
    )
    settled(person)


def where(person: Browser) -> tuple[float, float, float]:
    x, y, z = (float(person.find(f"#at-{name}").get_attribute("value") or "nan") for name in "xyz")
    return x, y, z


def coloured(person: Browser, plane: str) -> tuple[int, float, float]:
    """How many pixels of a plane have the colour of the structure on the left, and their centre (0 to 1)."""
    count, x, y = person.driver.execute_script(BLUE + FIND, plane)
    return count, x or 0.0, y or 0.0


def test_it_runs_without_webgl_and_without_complaints(person):
    opened(person)
    assert person.driver.execute_script("return document.createElement('canvas').getContext('webgl2')") is None
    assert person.console_errors() == []
    about = person.text("#about")
    assert "CT: voxels of 5 x 5 x 6 mm, as recorded" in about
    assert "Patient position HFP" in about


def test_the_numbers_at_twenty_points_are_those_of_the_rtdose_files(person, shown):
    opened(person)
    planned, computed = rtdose(shown.drawn.planned), rtdose(shown.drawn.computed)
    volumes, step = shown.drawn.volumes, shown.drawn.volumes.step_gy
    known = np.argwhere((volumes.planned != 65535) & (volumes.planned * step > 1.0))
    chosen = known[np.linspace(0, len(known) - 1, 20).astype(int)][:, ::-1]
    for point in np.asarray(volumes.grid.origin) + chosen * np.asarray(volumes.grid.spacing):
        go_to(person, tuple(point))
        for name, truth in (("planned", planned(point)), ("computed", computed(point))):
            assert float(person.text(f"#r-{name}")) == pytest.approx(float(truth[0]), abs=0.51 * step + 0.0006)
        assert float(person.text("#r-difference")) == pytest.approx(
            float(computed(point)[0] - planned(point)[0]), abs=step + 0.0006
        )


def test_wheel_and_keys_change_the_slice_of_their_plane_alone(person):
    opened(person)
    x, y, z = where(person)
    canvas = person.find("#pane-axial canvas")
    ActionChains(person.driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -120).perform()
    person.until(lambda: where(person)[2] > z, "the wheel moved to the head")
    assert where(person)[:2] == (x, y)
    person.driver.execute_script("arguments[0].focus()", canvas)
    level = where(person)[2]
    person.press(Keys.ARROW_DOWN)
    settled(person)
    assert where(person)[2] == pytest.approx(level - 6)
    person.press(Keys.SHIFT + Keys.ARROW_LEFT + Keys.NULL)
    settled(person)
    assert where(person)[0] == pytest.approx(x, abs=5)
    assert where(person)[0] < x
    assert f"z = {where(person)[2]:.1f} mm" in person.text("#pane-axial output")
    assert f"x = {where(person)[0]:.1f} mm" in person.text("#pane-sagittal output")


def test_the_cursor_shows_the_values_under_it(person):
    opened(person)
    canvas = person.find("#pane-axial canvas")
    at = where(person)
    ActionChains(person.driver).move_to_element_with_offset(canvas, 60, -40).perform()
    person.until(lambda: person.text("#of-what") == "under the cursor", "the cursor is followed")
    x, _y, z = (float(part) for part in person.text("#r-position").split(","))
    assert (x > at[0] - 100, z) == (True, pytest.approx(at[2], abs=0.06))
    assert where(person) == at  # the crosshair stays
    ActionChains(person.driver).move_to_element(person.find("#h-go")).perform()
    person.until(lambda: person.text("#of-what") == "at the crosshair", "the cursor has left")


@pytest.mark.parametrize("position", ["HFP", "FFS"])
def test_a_structure_on_the_left_is_where_the_letter_l_is(person, shown, position, tmp_path):
    shown.show(drawn(tmp_path / position, position).file)
    try:
        opened(person)
        go_to(person, left_of_target(position))
        person.find("input[name=overlay][value=none]").click()
        person.find("#structures-none").click()
        settled(person)
        assert coloured(person, "axial")[0] == 0
        box = next(one for one in person.driver.find_elements("css selector", "#structures label") if LEFT in one.text)
        box.click()
        settled(person)
        go_to(person, tuple(mm - (40, 0, 0)[axis] for axis, mm in enumerate(left_of_target(position))))
        for plane in ("axial", "coronal"):
            count, x, _y = coloured(person, plane)
            centre = crosshair(person, plane)
            assert count > 40, plane
            assert x > centre + 0.05, plane  # towards the L at the right edge
        box.click()
        settled(person)
        assert coloured(person, "axial")[0] == 0
        letters = json.loads(person.driver.execute_async_script(LETTERS))
        assert letters["axial"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
        assert letters["sagittal"] == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    finally:
        shown.show(shown.drawn.file)


LETTERS = """
const done = arguments[0];
import('/static/viewer/volume.js').then(({ letters, PLANES }) => {
  const of = (plane) => letters(['L', 'P', 'H'], plane);
  done(JSON.stringify({ axial: of(PLANES.axial), sagittal: of(PLANES.sagittal) }));
});
"""


def test_a_profile_and_the_histogram_of_gamma_are_drawn(person, shown):
    opened(person)
    x, y, z = where(person)
    start = person.find("#profile-start")
    go_to(person, (x - 60, y, z))
    start.click()
    go_to(person, (x + 60, y, z))
    person.find("#profile-end").click()
    settled(person)
    assert person.text("#profile-text").startswith("120.0 mm.")
    computed, planned = rtdose(shown.drawn.computed), rtdose(shown.drawn.planned)
    line = np.array([(x - 60 + mm, y, z) for mm in np.arange(0, 120.1, 0.5)])
    off = computed(line) - planned(line)
    stated = float(person.text("#profile-text").split("difference: ")[1].split(" ")[0])
    assert stated == pytest.approx(float(off[np.nanargmax(np.abs(off))]), abs=0.1)
    curves = person.driver.find_elements("css selector", "#profile-chart path")
    assert {one.get_attribute("class") for one in curves} == {"planned", "computed"}
    assert not person.find("#histogram").is_displayed()
    person.find("input[name=overlay][value=gamma]").click()
    settled(person)
    assert person.find("#histogram").is_displayed()
    assert len(person.driver.find_elements("css selector", "#histogram rect")) == 21


def crosshair(person: Browser, plane: str) -> float:
    """Where the vertical line of the crosshair is in a plane, 0 to 1."""
    return float(
        person.driver.execute_script(
            """const canvas = document.querySelector('#pane-' + arguments[0] + ' canvas');
            const p = canvas.getContext('2d').getImageData(0, 30, canvas.width, 1).data;
            let best = 0, at = 0;
            for (let x = 0; x < canvas.width; x++) {
              const green = p[4 * x + 1] - p[4 * x];
              if (green > best) { best = green; at = x; }
            }
            return at / canvas.width""",
            plane,
        )
    )


def test_it_is_used_with_the_keyboard_alone_on_a_narrow_dark_screen(person):
    try:
        person.resize(NARROW, dark=True)
        opened(person)
        assert person.overflow == 0
        canvas = person.tab_to(lambda at: at.tag_name == "canvas", "a plane")
        assert canvas.get_attribute("aria-label") == "axial plane"
        person.press("3")
        settled(person)
        assert person.find("input[name=overlay][value=difference]").is_selected()
        person.press(Keys.ARROW_UP)  # to the centre of a slice
        settled(person)
        z = where(person)[2]
        person.press(Keys.ARROW_UP)
        settled(person)
        assert where(person)[2] == pytest.approx(z + 6)
        person.tab_to(lambda at: at.get_attribute("id") == "places", "the points")
        person.press("largest")
        settled(person)
        assert abs(float(person.text("#r-difference"))) > 0.2
        assert person.console_errors() == []
    finally:
        person.resize(WIDE)
