"""A physicist signs in Chromium, by the keyboard alone, while a colleague looks on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.boards import PASSWORDS, Board, add_user, dashboard
from tests.browser.driving import NARROW, Browser, browser
from tests.judged import KEY
from tests.signed import add_case, delivered_case, settings, store

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def running(tmp_path) -> Iterator[Board]:
    case, folder = delivered_case(tmp_path)
    config = settings(tmp_path, web={"port": 0})
    with store(config) as database:
        add_case(database, case, folder)
    for name in ("otto", "phil"):
        add_user(config, name)
    with dashboard(config, "run") as made:
        yield made


def give(person: Browser, decision: str, reason: str, password: str) -> None:
    """A signature, by the keyboard alone."""
    person.tab_to(lambda at: at.get_attribute("name") == "decision", "the decision")
    person.tab_to(lambda at: at.get_attribute("value") == decision, decision, Keys.ARROW_DOWN)
    if not person.driver.switch_to.active_element.is_selected():
        person.press(Keys.SPACE)
    person.tab_to(lambda at: at.get_attribute("id") == "sign-reason", "the reason")
    person.press(reason)
    person.tab_to(lambda at: at.get_attribute("id") == "sign-password", "the password")
    person.press(password, Keys.ENTER)


def test_signing_by_keyboard_with_a_wrong_and_the_right_password(running):
    with browser(running.address) as phil, browser(running.address) as otto:
        phil.sign_in("phil")
        phil.go(f"/case/{KEY}")
        phil.until(lambda: "unsigned" in phil.text("#head"), "unsigned")
        otto.sign_in("otto")
        otto.go(f"/case/{KEY}")
        otto.until(lambda: "Signing requires the role physicist" in otto.text("#signature"), "otto cannot sign")
        otto.mark()
        give(phil, "reject", "range of beam 2", "not the password")
        phil.until(lambda: "Incorrect password" in phil.text("#problem"), "refused")
        assert phil.find("#sign-reason").get_attribute("value") == "range of beam 2"
        assert phil.find("#sign-password").get_attribute("value") == ""
        phil.resize(NARROW)
        assert phil.driver.execute_script("return document.documentElement.scrollWidth") <= NARROW[0]
        give(phil, "reject", "", PASSWORDS["phil"])
        phil.until(lambda: "rejected" in phil.text("#head"), "signed")
        phil.until(lambda: "rejected by Phil Example, Medical Physicist" in phil.text("#signature"), "by whom")
        assert "range of beam 2" in phil.text("#signature")
        assert "report-signed.pdf" in phil.text("#files")
        otto.until(lambda: "rejected by Phil Example" in otto.text("#signature"), "otto sees it")
        assert not otto.reloaded
        assert [one for one in phil.console_errors() if "403" not in one] == []
