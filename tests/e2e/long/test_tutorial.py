"""docs/tutorial.md, typed to the letter in a fresh clone."""

from __future__ import annotations

import json
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


def quoted(title: str) -> list[str]:
    """What a section says that a command answers, between double quotes."""
    parts = re.split(r"^## \d\. (.+)$", (ROOT / "docs/tutorial.md").read_text(), flags=re.MULTILINE)[1:]
    section = dict(zip(parts[::2], parts[1::2], strict=True))[title]
    text = re.sub(r"^```.*?^```", "", section, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(phrase.split()) for phrase in re.findall(r'"([^"]+)"', text)]


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
            while (answer := self.once(command)).returncode and time.monotonic() < end:
                assert "no case matches" in answer.stderr, f"{command}: {answer.stderr}"
                time.sleep(1)
            assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
            answers.append(answer.stdout)
        return "\n".join(answers)

    def until(self, command: str, wanted: str) -> str:
        """Ask again until the answer holds this; the answer."""
        end = time.monotonic() + 5 * PATIENCE_S
        while wanted not in (output := self.once(command).stdout):
            assert time.monotonic() < end, f"{command}: never {wanted}; last: {output}"
            time.sleep(1)
        return output

    def once(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("/bin/bash", "-c", command), cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
            input=f"{self.password()}\n", start_new_session=True,  # a prompt without a terminal reads stdin
        )  # fmt: skip

    def password(self) -> str:
        """The one-time password that the demo has printed."""
        (line,) = [line for line in self.output if line.startswith("dashboard:")][:1]
        return line.rpartition("password: ")[2].strip()


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


def of_the_plan(checkout: Checkout) -> Path:
    """The only delivered folder with the verdict on a plan; another has the one on its fraction."""
    (verdict,) = (checkout.folder / ".demo/slot-1/results").glob("*/verdict.json")
    return verdict.parent


def test_the_case_is_there_with_its_verdict_and_its_report(checkout: Checkout):
    output = checkout.type("Look")
    assert "pass" in output
    folder = of_the_plan(checkout)
    assert folder.name in output
    assert (folder / "report.html").is_file()
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")


def test_it_is_signed(checkout: Checkout):
    folder = of_the_plan(checkout)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    output = " ".join(checkout.type("Sign").split())
    for phrase in quoted("Sign"):
        assert phrase in output
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after.keys() - before.keys() == {"report-signed.pdf", "signature.json"}
    assert {name: after[name] for name in before} == before
    assert after["report-signed.pdf"].startswith(before["report.pdf"])
    signature = json.loads(after["signature.json"])
    assert (signature["account"], signature["decision"], signature["proof"]) == ("demo", "accept", "password")
    again = checkout.once(sections()["Sign"][0])
    assert again.returncode == 1
    assert "signed already" in again.stderr


def test_a_wrong_range_fails_and_its_cause_is_named(checkout: Checkout):
    title = "Process a case with an error"
    checkout.type(title)
    output = " ".join(checkout.until(sections()[title][-1], "fail:").split())
    for phrase in quoted(title):
        assert phrase in output or phrase == "no case matches"
    assert "range" in output


def test_an_incomplete_case_names_what_is_missing_and_sends_nothing(checkout: Checkout):
    title = "Process an incomplete case"
    checkout.type(title)
    for phrase in quoted(title):
        checkout.until(sections()[title][-1], phrase)
    assert quoted(title)
    cases = json.loads(checkout.once("./mqi status --json --config .demo/slot-1/config.yaml").stdout)["cases"]
    (hasty,) = [case for case in cases if case["folder"] == "hasty"]
    assert (hasty["step"], hasty["status"], hasty["host"]) == ("admit", "waiting", "")


def test_orders_are_recorded(checkout: Checkout):
    output = checkout.type("Give orders")
    for reason in ("the plan is being changed", "superseded"):
        assert reason in output


def test_ctrl_c_ends_it(checkout: Checkout):
    checkout.demo.send_signal(signal.SIGINT)
    assert checkout.demo.wait(60) == 0
    assert not list((checkout.folder / ".demo/slot-1/remote/cases").iterdir())
