"""docs/tutorial.md, typed to the letter in a fresh clone."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0  # a person types more slowly than this test: the folder has been read by then
pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]


def sections() -> dict[str, list[str]]:
    """The commands below each heading."""
    parts = re.split(r"^## \d\. (.+)$", (ROOT / "docs/tutorial.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^\$ (.+)$", text, re.MULTILINE) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


class Checkout:
    """A fresh clone with its demo running, as after the tutorial's first section."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(("git", "clone", "-q", str(ROOT), str(folder)), check=True)
        (start,) = sections()["Start"]
        self.demo = subprocess.Popen(
            ("/bin/bash", "-c", f"exec {start}"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.output: list[str] = []
        for line in self.demo.stdout or ():
            self.output.append(line)
            if line.startswith("dashboard:") and any(reported.startswith("verdict:") for reported in self.output):
                return
        raise AssertionError("".join(self.output))

    def type(self, title: str) -> str:
        """Type what a section says, each command until it is accepted; all that was answered."""
        answers = []
        for command in sections()[title]:
            end = time.monotonic() + PATIENCE_S
            while (answer := self._shell(command)).returncode and time.monotonic() < end:
                time.sleep(1)
            assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
            answers.append(answer.stdout)
        return "\n".join(answers)

    def until(self, command: str, wanted: str) -> str:
        """Ask again until the answer holds this; the answer."""
        end = time.monotonic() + 5 * PATIENCE_S
        while wanted not in (output := self._shell(command).stdout):
            assert time.monotonic() < end, f"{command}: never {wanted}; last: {output}"
            time.sleep(1)
        return output

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("/bin/bash", "-c", command), cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("tutorial") / "mqi")
    try:
        yield made
    finally:
        made.demo.kill()
        made.demo.communicate()


def test_every_section_is_typed_here():
    assert list(sections()) == [
        "Start",
        "Look",
        "Sign",
        "Process a case with an error",
        "Process an incomplete case",
        "Give orders",
        "Stop",
    ]


def test_the_demo_names_its_dashboard_and_it_opens(checkout: Checkout):
    door = next(line for line in checkout.output if line.startswith("dashboard:"))
    address = re.search(r"http://127\.0\.0\.1:\d+/", door)
    assert address
    page = httpx.get(address[0], timeout=10, follow_redirects=True)
    assert page.status_code == 200
    assert "password" in page.text


def test_the_case_is_there_with_its_verdict_and_its_report(checkout: Checkout):
    output = checkout.type("Look")
    assert "pass" in output
    (report,) = (checkout.folder / ".demo/slot-1/results").glob("*/report.html")
    assert report.parent.name in output
    assert report.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_it_is_signed(checkout: Checkout):
    checkout.type("Sign")
    assert list((checkout.folder / ".demo/slot-1/results").glob("*/signature.json"))


def test_a_wrong_range_fails_by_its_name(checkout: Checkout):
    checkout.type("Process a case with an error")
    why = sections()["Process a case with an error"][-1]
    assert "range_r80" in checkout.until(why, "fail:")


def test_an_incomplete_case_is_told_what_is_missing(checkout: Checkout):
    checkout.type("Process an incomplete case")
    checkout.until(sections()["Process an incomplete case"][-1], "slice")


def test_orders_are_recorded(checkout: Checkout):
    output = checkout.type("Give orders")
    for reason in ("the plan is being changed", "superseded"):
        assert reason in output


def test_ctrl_c_ends_it(checkout: Checkout):
    checkout.demo.send_signal(signal.SIGINT)
    assert checkout.demo.wait(60) == 0
    assert not list((checkout.folder / ".demo/slot-1/remote/cases").iterdir())
