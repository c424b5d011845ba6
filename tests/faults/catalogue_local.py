"""What happens to the communicator itself, and to what it has started here."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import PATIENCE_S, Testbed, is_dashboard, kill


@fault("communicator killed")
def killed(testbed: Testbed, _: Random) -> Iterator[None]:
    """kill -9 of the communicator at a random moment."""
    testbed.missed = testbed.process is None or not kill(testbed.process.pid)
    yield


@fault("communicator stopped", (2, 8))
def stopped(testbed: Testbed, _: Random) -> Iterator[None]:
    """SIGSTOP of the communicator; it continues later, unaware of the time that has passed."""
    process = testbed.process
    if process is not None:
        kill(process.pid, signal.SIGSTOP)
    yield
    if process is not None:
        kill(process.pid, signal.SIGCONT)


@fault("communicator asked to end")
def asked_to_end(testbed: Testbed, _: Random) -> Iterator[None]:
    """SIGTERM during work; it is started again."""
    testbed.wanted = False
    if testbed.process is not None and (code := _ask_to_end(testbed.process)) not in testbed.ends_when_asked():
        testbed.notes.append(f"a communicator that was asked to end ended with {code}: {testbed.log_tail()}")
    testbed.process = None
    testbed.wanted = True
    yield


@fault("configuration changed")
def configuration_changed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of the communicator; it starts with another beam model, number of histories or of job slots."""
    testbed.wanted = False
    testbed.stop(signal.SIGKILL)
    testbed.process = None
    testbed.change(random)
    testbed.wanted = True
    yield


@fault("rsync killed here")
def rsync_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of an rsync that the communicator has started."""
    _kill_child(testbed, random, lambda argv: argv[0] == "rsync")
    yield


@fault("ssh client killed")
def client_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of an ssh client that runs a request or a transfer."""
    _kill_child(testbed, random, lambda argv: argv[0] == "ssh" and "-M" not in argv)
    yield


@fault("ssh master killed")
def master_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of a connection's master."""
    _kill_child(testbed, random, lambda argv: argv[0] == "ssh" and "-M" in argv)
    yield


@fault("worker killed")
def worker_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of a worker process that reads DICOM or compares doses."""
    _kill_child(testbed, random, lambda argv: any("multiprocessing.forkserver" in argument for argument in argv))
    yield


@fault("dashboard killed")
def dashboard_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of the dashboard, which is a child of the communicator."""
    _kill_child(testbed, random, is_dashboard)
    yield


@fault("dashboard stopped", (2, 8))
def dashboard_stopped(testbed: Testbed, random: Random) -> Iterator[None]:
    """SIGSTOP of the dashboard; it continues later, or stays stopped until the communicator kills it."""
    stopped = _kill_child(testbed, random, is_dashboard, signal.SIGSTOP)
    yield
    if stopped is not None and random.random() < 0.5:
        kill(stopped, signal.SIGCONT)


@fault("clock here jumps", (3, 9))
def clock_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """The communicator's clock is an hour fast or slow; later it is right again."""
    testbed.clock.write_text(str(random.choice((-3600, 3600))))
    yield
    testbed.clock.write_text("0")


@fault("second communicator")
def second(testbed: Testbed, _: Random) -> Iterator[None]:
    """Another communicator is started on the same store."""
    if testbed.process is None or testbed.process.poll() is not None or not testbed.until(lambda: _owned(testbed), 60):
        testbed.missed = True
        yield
        return
    first = testbed.process
    argv = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(testbed.config))
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as other:
        end = time.monotonic() + PATIENCE_S
        while first.poll() is None and other.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        alone = first.poll() is None  # else the second may be the first by now, and is ended as any other
        other.kill()
        _out, output = other.communicate()
    testbed.missed = not alone
    if alone and (other.returncode != 1 or f"process {first.pid} on" not in output):
        testbed.notes.append(f"a second communicator ended with {other.returncode}: {output[-200:]}")
    yield


def _ask_to_end(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM; a stopped process is continued to receive it. Return the exit code; 1 if it took too long."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        kill(process.pid, number)
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return 1


def _owned(testbed: Testbed) -> bool:
    """Whether the communicator that runs says that it holds the store."""
    process = testbed.process
    if process is None or process.poll() is not None:
        return True
    with suppress(OSError):
        return f"process {process.pid} on" in (testbed.workspace / "owner.lock").read_text()
    return False


def _kill_child(
    testbed: Testbed,
    random: Random,
    wanted: Callable[[list[str]], bool],
    number: signal.Signals = signal.SIGKILL,
) -> int | None:
    """Send a signal to one of the communicator's children; return its process id, None if there is none."""
    found = testbed.find(lambda: testbed.children_with(wanted))
    chosen = random.choice(found) if found else None
    testbed.missed = chosen is None or not kill(chosen, number)
    return chosen
