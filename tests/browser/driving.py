"""Headless Chromium, and the actions of a user."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.boards import PASSWORDS

T = TypeVar("T")
PATIENCE_S = 60.0
WIDE, NARROW = (1280, 900), (390, 844)


class Browser:
    """The browser of one user."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def go(self, path: str) -> None:
        self.driver.get(self.address + path)

    def resize(self, size: tuple[int, int], *, dark: bool = False) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def sign_in(self, name: str) -> None:
        self.go("/login")
        self.press(name, Keys.TAB, PASSWORDS[name], Keys.ENTER)  # the first field has the focus
        self.until(lambda: name in self.text(".who"), "signed in")

    def press(self, *keys: str) -> None:
        """Send keys to the element with the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def tab_to(self, wanted: Callable[[WebElement], bool], what: str, key: str = Keys.TAB) -> WebElement:
        """Press a key until `wanted` is true for the element with the focus."""
        for _ in range(80):
            element = self.driver.switch_to.active_element
            if wanted(element):
                return element
            self.press(key)
        raise AssertionError(f"the keyboard does not get to {what}")

    def find(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """The visible text of an element, "" if it is not there."""
        try:
            return self.find(css).text
        except (NoSuchElementException, StaleElementReferenceException):
            return ""

    def mark(self) -> None:
        """Set a variable in the page that a reload would clear."""
        self.driver.execute_script("window.notReloaded = true")

    @property
    def reloaded(self) -> bool:
        return not self.driver.execute_script("return window.notReloaded === true")

    def until(self, wanted: Callable[[], T], what: str) -> T:
        """The first true value."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := wanted():
                return found
            time.sleep(0.1)
        raise AssertionError(f"never: {what}\n{self.text('body')}")

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self.driver.execute_script("const e = document.documentElement; return e.scrollWidth - e.clientWidth")
        )

    def console_errors(self) -> list[str]:
        """Errors in the browser's console, such as a blocked script or a missing file."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] == "SEVERE"]


@contextmanager
def browser(
    address: str, size: tuple[int, int] = WIDE, *, dark: bool = False, extra: tuple[str, ...] = ()
) -> Iterator[Browser]:
    """A fresh browser with no history. `extra`: further arguments."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    profile = tempfile.mkdtemp(prefix="mqi-browser-")
    arguments = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        *extra,
    ]
    for argument in [*arguments, *(["--no-sandbox"] if os.getuid() == 0 else [])]:
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))
    driver.set_page_load_timeout(PATIENCE_S)
    made = Browser(driver, address)
    try:
        made.resize(size, dark=dark)
        yield made
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
