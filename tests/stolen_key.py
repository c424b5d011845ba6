"""The installed script as whoever has the key meets it: started by sshd with a command line and a stdin, no more."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mqi_communicator.remote.verbs import library
from mqi_communicator.remote.workspace import SUMS, sums_text

KEY = "abcd2345efgh"
TOKEN = f"{KEY}-b1-r1"
MARK = "mqi-0123456789abcdef"
SECRET = "the host's own secret"
SHELLS = ("dash", "bash", "busybox")
SECONDS = 60.0


def shell(name: str) -> Path:
    """The shell of this name; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return Path(found)


class Installed:
    """The script below `folder`, its workspace, one program that is named, and a file outside that is not ours.

    `shell` is what its `sh` is. `options` are further words of the forced command.
    """

    def __init__(self, folder: Path, shell: Path, options: Sequence[str] = ()) -> None:
        self.root, self.outside, self.opt, tools = (folder / name for name in ("work", "outside", "opt", "tools"))
        for made in (self.outside, self.opt, tools, folder / "home"):
            made.mkdir()
        (self.outside / "secret").write_text(SECRET)
        (tools / "sh").symlink_to(shell)
        self.tools, self.home = tools, folder / "home"  # where sshd starts it
        self.engine = self.opt / "engine.sh"
        self.engine.write_text("#!/bin/sh\necho computed\n")
        self.engine.chmod(0o755)
        script = folder / "mqi-host"
        script.write_text(library())
        words = ("--only", str(self.root), "--program", str(self.engine), "--variable", "NAMED", *options)
        self._argv = (str(tools / "sh"), str(script), *words)
        self._environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder / "home")}
        assert "mqi-done" in self.ask("workspace", str(self.root)).stdout

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return self.root / "cases" / KEY / "runs" / TOKEN

    def command(self, line: str, stdin: bytes = b"", *, forced: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """What comes of a command line. `forced`: other words of the forced command."""
        argv = (*self._argv[:2], *(forced or self._argv[2:]))
        done = subprocess.run(
            argv, input=stdin, env={**self._environment, "SSH_ORIGINAL_COMMAND": line},
            capture_output=True, timeout=SECONDS, check=False, cwd=self.home,
        )  # fmt: skip
        out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(line, done.returncode, out, err)

    def ask(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """What comes of a question."""
        return self.command(" ".join(("mqi-host", MARK, "50", *words)), stdin)

    def submit(self, order: bytes) -> str:
        """What is answered to an order."""
        return self.ask("submit", str(self.root), TOKEN, "50", "anywhere", stdin=order).stdout

    def order(self, *lines: Sequence[str], head: Mapping[str, str] | None = None) -> bytes:
        """An order of these lines, between the four that each begins with (`head` changes them) and its end."""
        first = {"token": TOKEN, "root": str(self.root), "limit": "30", "grace": "1", **(head or {})}
        return "".join("\t".join(words) + "\n" for words in (*first.items(), *lines, ("end",))).encode()

    def send(self) -> None:
        """The input of the case, in place."""
        folder = self.root / "cases" / KEY / "input"
        (folder / "common").mkdir(parents=True)
        (folder / "common" / "x").write_bytes(b"input")
        (folder / SUMS).write_bytes(sums_text({"common/x": hashlib.sha256(b"input").hexdigest()}))

    def ended(self) -> tuple[str, str]:
        """The exit code and the log of the job, once it has ended."""
        end = time.monotonic() + SECONDS
        while not (self.run / "exit").exists():
            assert time.monotonic() < end, "the job has not ended"
            time.sleep(0.02)
        return (self.run / "exit").read_text().partition(",")[0], (self.run / "log").read_text()

    def untouched(self) -> bool:
        """Whether what lies outside is as it was."""
        return [path.name for path in self.outside.iterdir()] == ["secret"] and (
            self.outside / "secret"
        ).read_text() == SECRET
