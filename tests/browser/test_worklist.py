"""The worklist in Chromium: found, filtered and opened by keyboard; on a phone, in the dark; without barriers."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.axe import violations
from tests.browser.driving import NARROW, WIDE, browser

ROWS = "#review tbody tr"


def texts(person, css: str) -> list[str]:
    return list(
        person.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim())", css
        )
    )


def test_the_most_urgent_case_is_on_top_with_its_cause_and_is_opened_by_keyboard(board):
    with browser(board.address) as person:
        person.sign_in("phil")
        assert person.text(".counts a:first-child").endswith("to review")
        first = person.text(f"{ROWS}:first-child")
        assert "fail" in first
        assert "the computed range is 5 mm deeper than planned" in first
        assert "ID-" in first
        person.tab_to(lambda at: str(at.get_attribute("id")).startswith("review-"), "the first case")
        person.press(Keys.ENTER)
        person.until(lambda: "/case/" in person.driver.current_url, "the case is open")
        assert "5 mm deeper than planned" in person.text("#head .why")
        assert person.console_errors() == []


def test_filters_are_part_of_the_address_and_hold_while_the_page_is_refreshed(board):
    with browser(board.address) as person, browser(board.address) as other:
        person.sign_in("vera")
        person.tab_to(lambda at: at.tag_name == "summary" and at.text == "Filters", "the filters")
        person.press(Keys.ENTER)
        person.tab_to(lambda at: at.get_attribute("name") == "verdict", "the verdict")
        person.press("pass")
        person.tab_to(lambda at: at.text == "Apply filters", "the button")
        person.press(Keys.ENTER)
        person.until(lambda: "verdict=pass" in person.driver.current_url, "filtered")
        assert {text.split()[-1] for text in texts(person, f"{ROWS} td:nth-child(4)")} == {"pass"}
        person.mark()
        key = texts(person, f"{ROWS} .key")[0]
        other.sign_in("otto")
        other.go(f"/case/{key}")
        person.until(lambda: "otto" in person.text(f"{ROWS}:first-child .who-opened"), "otto has it open")
        assert {text.split()[-1] for text in texts(person, f"{ROWS} td:nth-child(4)")} == {"pass"}
        other.go("/history")
        person.until(lambda: "otto" not in person.text(f"{ROWS}:first-child .who-opened"), "otto has left")
        assert not person.reloaded


def test_a_patient_is_searched_from_the_worklist_and_is_in_no_address(board):
    with browser(board.address) as person:
        person.sign_in("vera")
        person.tab_to(lambda at: at.get_attribute("name") == "text", "the search")
        person.press("ID-000123", Keys.ENTER)
        person.until(lambda: "ID-000123" in person.text(".history tbody"), "found")
        assert len(texts(person, ".history tbody tr")) == 1
        assert "ID-" not in person.driver.current_url
        assert "ID-" not in person.driver.title


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide-light", "narrow-dark"])
def test_no_page_has_a_barrier(board, live, size, dark):
    with browser(board.address, size, dark=dark) as person:
        person.go("/login")
        found = {"/login": violations(person)}
        person.sign_in("otto")
        for path in (
            "/?verdict=fail",
            "/history",
            "/system",
            *(f"/case/{live[name]}" for name in ("computing", "held")),
        ):
            person.go(path)
            found[path] = violations(person)
    assert {path: some for path, some in found.items() if some} == {}


def test_on_a_phone_the_orders_come_before_the_timeline(board, live):
    with browser(board.address, NARROW) as person:
        person.sign_in("otto")
        person.go(f"/case/{live['computing']}")
        tops = [person.find(css).location["y"] for css in ("#head", "#orders", "#timeline")]
        assert tops == sorted(tops)
