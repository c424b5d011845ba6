"""What happens to the store."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import PATIENCE_S, Testbed


@fault("store locked", (2, 14), refuses=True)
def store_locked(testbed: Testbed, _: Random) -> Iterator[None]:
    """Another program holds the store's lock."""
    with closing(sqlite3.connect(testbed.store, timeout=30, isolation_level=None)) as other:
        with suppress(sqlite3.Error):
            other.execute("BEGIN IMMEDIATE")
        yield


@fault("store locked for 45 s", (45, 45), refuses=True, rare=True)
def store_locked_long(testbed: Testbed, random: Random) -> Iterator[None]:
    """Another program holds the store's lock for 45 s."""
    yield from store_locked(testbed, random)


@fault("store damaged", (1, 2), refuses=True)
def store_damaged(testbed: Testbed, random: Random) -> Iterator[None]:
    """The store's file is corrupted while no communicator runs: none starts on it. Then the file is restored."""
    testbed.wanted = False
    testbed.stop(signal.SIGKILL)
    testbed.process = None
    kept = testbed.folder / "kept"
    kept.mkdir(exist_ok=True)
    files = [path for path in testbed.workspace.glob("store.sqlite3*") if path.is_file()]
    if not testbed.store.exists() or testbed.store.stat().st_size < 8192:
        testbed.wanted = testbed.missed = True
        yield
        return
    for path in files:
        shutil.copy2(path, kept / path.name)
    for path in files:
        path.write_bytes(b"") if path != testbed.store else _spoil(path, random)
    argv = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(testbed.config))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            _out, output = started.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            output = "it runs"
        if started.returncode != 1 or "the store" not in output:
            testbed.notes.append(f"on a damaged store a communicator ended with {started.returncode}: {output[-200:]}")
    for path in testbed.workspace.glob("store.sqlite3*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.move(path, testbed.workspace / path.name)
    testbed.wanted = True
    yield


@fault("store restored")
def store_restored(testbed: Testbed, _: Random) -> Iterator[None]:
    """The newest backup replaces the store, which is newer; what the backup does not contain is reconstructed."""
    testbed.wanted = False
    testbed.stop(signal.SIGKILL)
    testbed.process = None
    answer = testbed.mqi("restore", timeout=PATIENCE_S)
    testbed.restored = True
    testbed.missed = answer.returncode != 0
    if testbed.missed and not testbed.refusing and "holds no intact backup" not in answer.stderr:
        testbed.notes.append(f"mqi restore ended with {answer.returncode}: {answer.stderr[-200:]}")
    testbed.wanted = True
    yield


def _spoil(path: Path, random: Random) -> None:
    """The first page is another: its header or the table of tables."""
    data = bytearray(path.read_bytes())
    start = random.choice((0, 100))
    data[start : start + 64] = random.randbytes(64)
    path.write_bytes(bytes(data))
