"""The network between the communicator and its host: the faulty proxy, in a separate thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from mqi_communicator.demo.host import PrivateHost
from tests.faultproxy import FaultProxy, Mode


class Network:
    """A proxy that other threads control. `port` is the apparent port of the host."""

    def __init__(self, target: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self.proxy = FaultProxy(target)
        self._do(self.proxy.__aenter__())
        self._listening = True

    @property
    def port(self) -> int:
        return self.proxy.port

    def heal(self) -> None:
        """Undo all faults; broken connections stay broken."""
        self.proxy.mode, self.proxy.rate = Mode.THROUGH, None
        self.proxy.cut_after = self.proxy.flip_at = None
        self.listen()

    def reset(self) -> None:
        self._call(self.proxy.reset_all)

    def half_open(self) -> None:
        self.proxy.mode = Mode.HALF_OPEN
        self._call(self.proxy.lose_far_side)

    def unlisten(self) -> None:
        self._do(self.proxy.unlisten())
        self._listening = False

    def listen(self) -> None:
        if not self._listening:
            self._do(self.proxy.listen())
            self._listening = True

    def close(self) -> None:
        self.heal()
        self._do(self.proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _call(self, work: Callable[[], None]) -> None:
        async def call() -> None:
            work()

        self._do(call())


def known_hosts(host: PrivateHost, port: int, place: Path) -> Path:
    """Write a known_hosts file with the host's key for the apparent port."""
    place.write_text((host.folder / "known_hosts").read_text().replace(f":{host.port} ", f":{port} "))
    return place
