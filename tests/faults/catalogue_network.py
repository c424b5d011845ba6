"""What networks do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random

from tests.faultproxy import Mode
from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed


@fault("connection refused", (1, 8))
def refused(testbed: Testbed, _: Random) -> Iterator[None]:
    """Nothing listens on the host's port; open connections are reset."""
    testbed.net.unlisten()
    testbed.net.reset()
    yield
    testbed.net.listen()


@fault("connection reset", (1, 6))
def reset(testbed: Testbed, _: Random) -> Iterator[None]:
    """Every connection is reset, and each new one at once."""
    testbed.net.proxy.mode = Mode.REFUSE
    testbed.net.reset()
    yield
    testbed.net.proxy.mode = Mode.THROUGH


@fault("connections cut once")
def cut_once(testbed: Testbed, _: Random) -> Iterator[None]:
    """Every open connection is reset; new ones work."""
    testbed.net.reset()
    yield


@fault("cut after some bytes", (1, 4))
def cut_after(testbed: Testbed, random: Random) -> Iterator[None]:
    """Every connection is reset at a byte somewhere in the next transfer."""
    testbed.net.proxy.cut_after = testbed.net.proxy.sent + random.randrange(100, 60_000)
    yield
    testbed.net.proxy.cut_after = None


@fault("black hole", (2, 12))
def blackhole(testbed: Testbed, _: Random) -> Iterator[None]:
    """Connections stay open and no byte moves."""
    testbed.net.proxy.mode = Mode.BLACKHOLE
    yield
    testbed.net.proxy.mode = Mode.THROUGH


@fault("half-open connections", (2, 8))
def half_open(testbed: Testbed, _: Random) -> Iterator[None]:
    """The remote end of every connection vanishes without a reset; new connections work."""
    testbed.net.half_open()
    yield
    testbed.net.proxy.mode = Mode.THROUGH


@fault("throttled to 50 kB/s", (3, 10))
def throttled(testbed: Testbed, _: Random) -> Iterator[None]:
    """50 kB/s each way."""
    testbed.net.proxy.rate = 50e3
    yield
    testbed.net.proxy.rate = None


@fault("cut every 3 s", (7, 13))
def cut_again_and_again(testbed: Testbed, _: Random) -> Iterator[None]:
    """Every connection is reset, every three seconds."""
    over = threading.Event()

    def cut() -> None:
        while not over.wait(3):
            testbed.net.reset()

    cutting = threading.Thread(target=cut, daemon=True)
    cutting.start()
    yield
    over.set()
    cutting.join()


@fault("bit flipped in transit", (1, 3))
def flipped(testbed: Testbed, random: Random) -> Iterator[None]:
    """One bit of what the communicator sends arrives flipped."""
    testbed.net.proxy.flip_at = testbed.net.proxy.sent + random.randrange(1, 40_000)
    yield
    testbed.net.proxy.flip_at = None


@fault("name not resolved", (2, 8))
def nameless(testbed: Testbed, _: Random) -> Iterator[None]:
    """The host's name cannot be resolved, and connections are lost."""
    testbed.machine.name_host("no-such-host.invalid")
    testbed.net.reset()
    yield
    testbed.machine.name_host("127.0.0.1")
