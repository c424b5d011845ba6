"""A stop ends what is short, abandons what is long, and touches no job; the next start says what it found."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.conftest import Site


def computing(cases):
    beams = cases[0]["beams"] if cases else []
    return len(beams) == 2 and all(beam["step"] == "follow" and beam["percent"] for beam in beams)


class Systemd:
    """The other end of NOTIFY_SOCKET; like systemd it listens all the time, since such a queue is short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(str(path))
        self.output: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                for line in self.door.recv(4096).decode().splitlines():
                    self.output.put(line)

    def until(self, word: str) -> list[str]:
        """The lines that came up to this one."""
        heard: list[str] = []
        while word not in heard:
            heard.append(self.output.get(timeout=120))
        return heard


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    made = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.setenv("WATCHDOG_USEC", "300000000")
    with made.door:
        yield made


def test_a_stop_while_the_host_computes_leaves_the_jobs_alone_and_the_next_start_follows_them(site, systemd):
    site.histories(400_000)
    site.drop()
    daemon = site.daemon()
    assert "READY=1" in systemd.until("STATUS=processing cases")
    assert daemon.until("startup.summary")["cases"] == {}
    site.wait_for(computing, "both beams are computing", 150)
    systemd.until("WATCHDOG=1")
    assert daemon.stop() == 0
    assert systemd.until("STOPPING=1")[-1] == "STOPPING=1"
    lines = list(map(dict, daemon.rest()))
    assert [line["why"] for line in lines if line["event"] == "stopped"] == ["stopped"]
    assert {line["step"] for line in lines if line["event"] == "step.abandoned"} <= {"follow"}
    assert "end" not in site.witness.read_text(), "no job was ended"
    daemon = site.daemon()
    found = daemon.until("startup.summary")
    assert (found["cases"], found["jobs"]) == ({"waiting": 1}, 2)
    (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "done", 240)
    assert Counter(site.starts()) == {f"{case['case']}-b1-r1": 1, f"{case['case']}-b2-r1": 1}
    assert daemon.stop() == 0


def test_a_second_sigterm_does_not_wait_for_what_is_under_way(tmp_path, host):
    """An upload at one KiB a second; the first SIGTERM would wait ten minutes for it."""
    options = host.options(bandwidth_kib_s=1).model_dump(mode="json", exclude_defaults=True)
    site = Site(tmp_path, host, ssh=options, resources={"stop_s": 600})
    site.drop()
    daemon = site.daemon()
    site.wait_for(lambda _cases: list((site.remote / "staging").glob("*/*")), "bytes arrive", 120)
    daemon.process.send_signal(signal.SIGTERM)
    assert [word.split()[0] for word in daemon.until("stopping")["under_way"]] == ["upload"]
    assert daemon.process.poll() is None
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.until("step.abandoned")["step"] == "upload"
    daemon.until("stopped")
    assert daemon.stop() == 0
    (case,) = site.status()
    assert (case["step"], case["status"], site.starts()) == ("upload", "ready", [])
