"""What happens to the communicator itself, and to what it has started here."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

from tests.faults.catalogue import fault
from tests.faults.ground import Ground, kill

PATIENCE_S = 300.0  # for a program to start and to say no, on a busy machine


@fault("communicator killed")
def killed(ground: Ground, _: Random) -> Iterator[None]:
    """kill -9 of the communicator, at a moment like any other."""
    ground.vain = ground.process is None or not kill(ground.process.pid)
    yield


@fault("communicator stopped", (2, 8))
def stopped(ground: Ground, _: Random) -> Iterator[None]:
    """SIGSTOP of the communicator; it wakes up later and believes that no time has passed."""
    process = ground.process
    if process is not None:
        kill(process.pid, signal.SIGSTOP)
    yield
    if process is not None:
        kill(process.pid, signal.SIGCONT)


@fault("communicator asked to end")
def asked_to_end(ground: Ground, _: Random) -> Iterator[None]:
    """SIGTERM in the middle of the work; it is started again."""
    ground.wanted = False
    if ground.process is not None and (code := _ask_to_end(ground.process)) not in ground.ends_when_asked():
        ground.notes.append(f"a communicator that was asked to end ended with {code}: {ground.last_words()}")
    ground.process = None
    ground.wanted = True
    yield


@fault("rsync killed here")
def rsync_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of an rsync that the communicator has started."""
    _kill_child(ground, random, lambda words: words[0] == "rsync")
    yield


@fault("ssh client killed")
def client_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of an ssh that asks something, or carries a transfer."""
    _kill_child(ground, random, lambda words: words[0] == "ssh" and "-M" not in words)
    yield


@fault("ssh master killed")
def master_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of a connection's master."""
    _kill_child(ground, random, lambda words: words[0] == "ssh" and "-M" in words)
    yield


@fault("desk killed")
def desk_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of the child that reads DICOM or compares doses."""
    _kill_child(ground, random, lambda words: "mqi_communicator.flow.desk" in words)
    yield


@fault("clock here jumps", (3, 9))
def clock_here(ground: Ground, random: Random) -> Iterator[None]:
    """The communicator's clock is an hour fast, or slow, and right again later."""
    ground.clock.write_text(str(random.choice((-3600, 3600))))
    yield
    ground.clock.write_text("0")


@fault("store locked", (2, 14), refuses=True)
def store_locked(ground: Ground, _: Random) -> Iterator[None]:
    """Another program holds the store's lock."""
    with closing(sqlite3.connect(ground.store, timeout=30, isolation_level=None)) as other:
        with suppress(sqlite3.Error):
            other.execute("BEGIN IMMEDIATE")
        yield


@fault("store locked for 45 s", (45, 45), refuses=True, rare=True)
def store_locked_long(ground: Ground, random: Random) -> Iterator[None]:
    """Another program holds the store's lock for 45 s."""
    yield from store_locked(ground, random)


@fault("second communicator")
def second(ground: Ground, _: Random) -> Iterator[None]:
    """Somebody starts another communicator on the same store."""
    if ground.process is None or ground.process.poll() is not None or not ground.until(lambda: _owned(ground), 60):
        ground.vain = True
        yield
        return
    first = ground.process
    words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(ground.config))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as other:
        end = time.monotonic() + PATIENCE_S
        while first.poll() is None and other.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        alone = first.poll() is None  # else the second may be the first by now, and is ended as any other
        other.kill()
        _out, said = other.communicate()
    ground.vain = not alone
    if alone and (other.returncode != 1 or f"process {first.pid} on" not in said):
        ground.notes.append(f"a second communicator ended with {other.returncode}: {said[-200:]}")
    yield


@fault("store damaged", (1, 2), refuses=True)
def store_damaged(ground: Ground, random: Random) -> Iterator[None]:
    """The store's file is spoiled while no communicator runs: none starts on it. Then the file is restored."""
    ground.wanted = False
    ground.stop(signal.SIGKILL)
    ground.process = None
    kept = ground.folder / "kept"
    kept.mkdir(exist_ok=True)
    files = [path for path in ground.workspace.glob("store.sqlite3*") if path.is_file()]
    if not ground.store.exists() or ground.store.stat().st_size < 8192:
        ground.wanted = ground.vain = True
        yield
        return
    for path in files:
        shutil.copy2(path, kept / path.name)
    for path in files:
        path.write_bytes(b"") if path != ground.store else _spoil(path, random)
    words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(ground.config))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            _out, said = started.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            said = "it runs"
        if started.returncode != 1 or "the store" not in said:
            ground.notes.append(f"on a damaged store a communicator ended with {started.returncode}: {said[-200:]}")
    for path in ground.workspace.glob("store.sqlite3*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.move(path, ground.workspace / path.name)
    ground.wanted = True
    yield


def _ask_to_end(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM; one that is stopped at this moment is woken up to hear it. The exit code; 1 if it took too long."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        kill(process.pid, number)
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return 1


def _spoil(path: Path, random: Random) -> None:
    """The first page is another: its header or the table of tables."""
    data = bytearray(path.read_bytes())
    start = random.choice((0, 100))
    data[start : start + 64] = random.randbytes(64)
    path.write_bytes(bytes(data))


def _owned(ground: Ground) -> bool:
    """Whether the communicator that runs says that it holds the store."""
    process = ground.process
    if process is None or process.poll() is not None:
        return True
    with suppress(OSError):
        return f"process {process.pid} on" in (ground.workspace / "owner.lock").read_text()
    return False


def _kill_child(ground: Ground, random: Random, wanted: Callable[[list[str]], bool]) -> None:
    def look() -> list[int]:
        found = []
        for pid in ground.children():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                if words[0] and wanted(words):
                    found.append(pid)
        return found

    found = ground.find(look)
    ground.vain = not (found and kill(random.choice(found)))
