"""The commands of the documents, typed in a fresh clone at a site with a real sshd and the stand-in for moqui."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from tests.standin import site as standin
from tests.standin.write_site import write_site

from mqi_communicator.demo.host import PrivateHost

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = yaml.safe_load(Path(__file__).with_name("commands.yaml").read_text())
OTHERS = ("cli.md", "tutorial.md")
PATIENCE_S = 60.0  # a person types more slowly than this test: what it orders may not be there yet
pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


class Ward:
    """A fresh clone, a home, a host, and a site of its own."""

    def __init__(self, place: Path, host: PrivateHost, webhook: str) -> None:
        self.place, self.checkout, self.host, self._webhook = place, place / "mqi", host, webhook
        (place / "home/.ssh").mkdir(parents=True, mode=0o700)
        subprocess.run(("git", "clone", "-q", str(ROOT), str(self.checkout)), check=True)
        self.environment = {
            **os.environ,
            "HOME": str(place / "home"),
            "PATH": f"{self.checkout}/.venv/bin:{os.environ['PATH']}",
            "PLACE": str(place),
            "PORT": str(host.port),
            "SSHD": str(host.folder),
        }
        self.answers: dict[str, str] = {}
        prepared = self._shell("setup/prepare.sh test")
        assert prepared.returncode == 0, prepared.stdout + prepared.stderr

    def settle(self) -> None:
        """Write the configuration of the site, with everything that the documents speak of."""
        folder = self.place / "site"
        folder.mkdir()
        output = yaml.safe_load(write_site(folder).read_text())
        del output["local"]
        reach = self.host.options().model_dump(mode="json", exclude_defaults=True)
        output["ssh"] = {
            **reach,
            "identity_file": "~/.ssh/mqi_ed25519",
            "known_hosts_file": "~/.ssh/mqi_known_hosts",
        }
        secret = folder / "webhook"
        secret.touch(mode=0o600)
        secret.write_text(self._webhook)
        output["notify"] = {"webhook": {"url_file": str(secret)}}
        output["constancy"] = [
            {"name": "annual", "folder": str(self.place / "sample of the machine"), "every_days": 365}
        ]
        output["web"] = {"port": 0, "users": str(folder / "users.json")}
        standin.write_sample(self.place / "sample of the machine", flavour="upstream", seed=90)
        (self.checkout / "config.yaml").write_text(yaml.safe_dump(output))
        rehearsal = self.place / "rehearsal"
        rehearsal.mkdir()
        (self.checkout / "rehearsal.yaml").write_text(write_site(rehearsal).read_text())

    def drop(self, name: str, seed: int) -> None:
        """A case of its own."""
        standin.write_sample(self.place / "site/watch" / name, flavour="upstream", seed=seed)

    def type(self, when: str, patience: float = 0.0) -> None:
        """Type each, again for a while until it is answered as it should be; fails with all that went wrong."""
        wrong = [trouble for command in COMMANDS[when] if (trouble := self._trouble(patience, **command))]
        assert not wrong, "\n".join(wrong)

    def _trouble(self, patience: float, shown: str, typed: str = "", says: str = "", code: int = 0) -> str:
        end = time.monotonic() + patience
        while True:
            ended = self._shell(typed or shown)
            self.answers[shown] = output = ended.stdout + ended.stderr
            if ended.returncode == code and says in output:
                return ""
            if time.monotonic() > end:
                return f"{typed or shown}: {ended.returncode}: {output[-1500:]}"
            time.sleep(1)

    def until(self, words: str, says: str) -> None:
        """Ask until the answer holds this."""
        end = time.monotonic() + 5 * PATIENCE_S
        while says not in (output := self._shell(words).stdout):
            assert time.monotonic() < end, f"{words}: never {says}; last: {output}"
            time.sleep(1)

    def _shell(self, words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("/bin/bash", "-c", words), cwd=self.checkout, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """./deploy.sh config.yaml, its log in mqi.log."""
        with (self.checkout / "mqi.log").open("wb") as log:
            return subprocess.Popen(
                ("/bin/bash", "-c", "exec ./deploy.sh config.yaml"), cwd=self.checkout, env=self.environment,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip


@pytest.fixture
def webhook() -> Iterator[str]:
    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def ward(tmp_path: Path, webhook: str) -> Iterator[Ward]:
    with PrivateHost(tmp_path / "sshd") as host:
        yield Ward(tmp_path, host, webhook)


def shown() -> set[str]:
    """Every command that a person may type, without its comment."""
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").glob("*.md") if page.name not in OTHERS)]
    lines = [line for page in pages for line in re.findall(r"^ *\$ (.+)$", page.read_text(), re.MULTILINE)]
    return {re.sub(r"\s+# .*", "", line) for line in lines}


def test_each_command_of_the_documents_is_typed_or_it_is_said_why_not():
    typed = [command["shown"] for when in ("first", "site", "running", "last") for command in COMMANDS[when]]
    assert sorted(shown()) == sorted([*typed, *COMMANDS["not_typed"]])
    for why in COMMANDS["not_typed"].values():
        assert all((ROOT / file).is_file() for file in re.findall(r"tests/\S+\.py", why)), why


def test_the_commands_do_what_the_pages_say(ward: Ward):
    ward.type("first")
    prints = [re.findall(r"SHA256:\S+", answer) for shown, answer in ward.answers.items() if " -lf " in shown]
    assert prints[0] == prints[1] != []
    ward.settle()
    ward.type("site")
    for seed, name in enumerate(("sample", "second", "third"), 21):
        ward.drop(name, seed)
    communicator = ward.start()
    try:
        for name in ("sample", "second", "third"):
            ward.until(f"./mqi why {name}", "pass: ")
        ward.until("./mqi constancy", "pass")
        ward.drop("later", 30)
        ward.type("running", PATIENCE_S)
    finally:
        communicator.send_signal(signal.SIGTERM)
        assert communicator.wait(60) == 0
    ward.type("last")
