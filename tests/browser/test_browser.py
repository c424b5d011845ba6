"""The dashboard in Chromium: keyboard, phone, two users, a communicator that is killed."""

from __future__ import annotations

import re
import sqlite3

import pytest
from selenium.webdriver.common.keys import Keys

from tests.boards import PASSWORDS, add_user, dashboard
from tests.browser import pictures
from tests.browser.driving import NARROW, Browser, browser

PAGES = ("/", "/history", "/system")


def case_of(person: Browser) -> str:
    """Go to the one case of a communicator; its key."""
    person.go("/")
    key = person.until(lambda: person.text("#waiting .key") or person.text("#held .key"), "a case is on the page")
    person.go(f"/case/{key}")
    return key


def give(person: Browser, order: str, reason: str) -> None:
    """An order, by the keyboard alone."""
    person.tab_to(lambda at: at.get_attribute("name") == "order", "the orders")
    person.tab_to(lambda at: at.get_attribute("value") == order, order, Keys.ARROW_DOWN)
    if not person.driver.switch_to.active_element.is_selected():
        person.press(Keys.SPACE)
    person.tab_to(lambda at: at.get_attribute("id") == "reason", "the reason")
    person.press(reason, Keys.ENTER)


def test_signing_in_by_keyboard_with_a_wrong_and_the_right_password(board):
    with browser(board.address) as person:
        person.go("/history")
        person.press("otto", Keys.TAB, "not the password", Keys.ENTER)
        person.until(lambda: "Incorrect user name or password" in person.text("main .alarm"), "refused")
        person.press("otto", Keys.TAB, PASSWORDS["otto"], Keys.ENTER)
        person.until(lambda: "History" in person.text("h1"), "led to the page that was asked for")
        assert [one for one in person.console_errors() if "401" not in one] == []


def test_an_order_is_given_by_keyboard_and_its_result_appears_without_reloading(communicator):
    with browser(communicator.address) as person:
        person.sign_in("otto")
        case_of(person)
        give(person, "hold", "waiting for the plan")
        person.until(lambda: "held by order" in person.text("#head"), "held")
        person.mark()
        assert "waiting for the plan" in person.text("#given")
        assert "otto (dashboard)" in person.text("#events")
        with communicator.signed_in("phil") as phil:  # somebody else, elsewhere
            key = person.text("h1 .key")
            phil.post(f"/api/v1/cases/{key}/orders", json={"order": "release", "reason": "the plan is coming"})
        person.until(lambda: "the plan is coming" in person.text("#given"), "phil's order appears")
        person.until(lambda: "held by order" not in person.text("#head"), "it waits again")
        assert not person.reloaded
        assert person.console_errors() == []


def test_of_two_concurrent_orders_the_second_is_refused(communicator):
    with browser(communicator.address) as otto, browser(communicator.address) as phil:
        for person, name in ((otto, "otto"), (phil, "phil")):
            person.sign_in(name)
            case_of(person)
        # phil's page gets no updates any more, as on a bad connection
        phil.driver.execute_script(
            "document.querySelectorAll('[data-live]').forEach((e) => e.removeAttribute('data-live'))"
        )
        give(otto, "hold", "otto was first")
        otto.until(lambda: "held by order" in otto.text("#head"), "held")
        give(phil, "cancel", "phil did not see it")
        phil.until(
            lambda: "otto (dashboard) gave the order hold after this page was loaded" in phil.text("#problem"),
            "refused",
        )
        assert "held by order" in phil.text("#head")
        assert phil.find("#reason").get_attribute("value") == "phil did not see it"
        give(otto, "release", "let phil see this")  # the page of a refused order is as live as any
        phil.until(lambda: "let phil see this" in phil.text("#given"), "phil hears of it")
        assert phil.find("#reason").get_attribute("value") == "phil did not see it"


def test_input_is_kept_while_the_page_is_refreshed(board, planted, live):
    with browser(board.address) as person:
        person.sign_in("otto")
        person.go(f"/case/{live['computing']}")
        person.mark()
        person.tab_to(lambda at: at.get_attribute("name") == "order", "the orders")
        person.tab_to(lambda at: at.get_attribute("value") == "cancel", "cancel", Keys.ARROW_DOWN)
        person.tab_to(lambda at: at.get_attribute("id") == "reason", "the reason")
        person.press("half a sent")
        with sqlite3.connect(planted / "workspace/store.sqlite3") as store:
            store.execute("UPDATE jobs SET percent = 77 WHERE percent = 58")
        person.until(lambda: "77 %" in person.text("#beams"), "the new percentage")
        person.press("ence")
        assert person.find("#reason").get_attribute("value") == "half a sentence"
        assert person.find("#order-cancel").is_selected()
        assert not person.reloaded


def test_a_killed_and_a_restarted_communicator_are_shown(communicator, site):
    config = site / "config.yaml"
    text = config.read_text()
    with browser(communicator.address) as person:
        person.sign_in("vera")
        person.until(lambda: person.text("#waiting .key"), "a case is on the page")
        person.mark()
        communicator.process.kill()
        person.until(lambda: "is not responding" in person.text("#lost"), "the page says so")
        assert "This page shows the state of" in person.text("#lost")
        assert not person.reloaded
    config.write_text(text)
    with dashboard(config) as alone, browser(alone.address) as person:
        person.sign_in("vera")
        assert "The communicator is not running" in person.text("#alarm")
        person.mark()
        config.write_text(text.replace("web:\n  port: 0\n", ""))
        with dashboard(config, "run", opened="started"):
            person.until(lambda: "not running" not in person.text("#alarm"), "it runs again")
        person.until(lambda: "The communicator is not running" in person.text("#alarm"), "it has ended")
        assert not person.reloaded


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_fits_a_phone_and_can_be_read_there(board, live, dark):
    with browser(board.address, NARROW, dark=dark) as person:
        person.sign_in("otto")
        for path in (*PAGES, *(f"/case/{key}" for key in live.values())):
            person.go(path)
            assert person.overflow <= 0, path
            assert person.find("h1").text or path == "/"
            small = person.driver.execute_script(  # large enough for a finger
                "return [...document.querySelectorAll('button, nav a')]"
                ".filter((e) => e.offsetHeight && e.offsetHeight < 36)"
                ".map((e) => e.textContent)"
            )
            assert small == [], path
        assert person.console_errors() == []


def test_every_control_has_a_name_and_every_field_a_label(board, live):
    with browser(board.address) as person:
        person.sign_in("otto")
        for path in (*PAGES, f"/case/{live['computing']}"):
            person.go(path)
            nameless = person.driver.execute_script(
                "return [...document.querySelectorAll("
                "'a, button, input:not([type=hidden]), select, progress, summary')]"
                ".filter((e) => !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label')))"
                ".map((e) => e.outerHTML)"
            )
            assert nameless == [], path
            assert len(person.driver.execute_script("return [...document.querySelectorAll('h1')]")) == 1
            twice = person.driver.execute_script(
                "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
                "return ids.filter((id, i) => ids.indexOf(id) !== i)"
            )
            assert twice == [], path


def test_the_skip_link_comes_first_and_leads_past_the_menu(board):
    with browser(board.address) as person:
        person.sign_in("vera")
        person.go("/history")
        person.press(Keys.TAB)
        assert person.driver.switch_to.active_element.text == "Skip to content"
        person.press(Keys.ENTER, Keys.TAB)
        assert person.driver.switch_to.active_element.get_attribute("name") == "text"


def test_history_is_searched_by_keyboard_and_the_name_is_in_no_url(board):
    with browser(board.address) as person:
        person.sign_in("vera")
        person.go("/history")
        person.tab_to(lambda at: at.get_attribute("name") == "text", "the search")
        person.press("QA-000123", Keys.ENTER)
        person.until(lambda: person.text(".history tbody .folder") == "QA-000123", "found")
        assert "QA" not in person.driver.current_url
        assert "QA" not in person.driver.title
        assert person.driver.execute_script("return document.querySelectorAll('.history tbody tr').length") == 1


def test_a_user_with_a_changed_password_is_signed_out(planted, board):
    with browser(board.address) as person:
        person.sign_in("phil")
        add_user(planted / "config.yaml", "phil")  # another hash: as if the password had been changed
        person.until(lambda: "/login" in person.driver.current_url, "led to the page for signing in")


def test_the_pictures_of_the_documentation_can_be_made_and_are_all_there(tmp_path):
    pictures.main(tmp_path, size="tiny")
    made = {path.name for path in tmp_path.iterdir()}
    page = (pictures.HERE.parent / "dashboard.md").read_text()
    assert made == {path.name for path in pictures.HERE.iterdir()}
    assert made == set(re.findall(r"pictures/([\w-]+\.png)", page))
