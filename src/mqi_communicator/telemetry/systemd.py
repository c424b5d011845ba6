"""What systemd is told, where it started us with Type=notify: ready, stopping, and that work goes on.

The protocol is a datagram of NAME=VALUE lines to a unix socket (sd_notify(3)). `alive` is for whoever has just seen the
work go on; nothing here beats by itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress


class Notifier:
    """Speaks to the socket that the environment names; to nobody where it names none."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take the variables out of `environment`: no child of ours speaks to systemd."""
        self._address = environment.pop("NOTIFY_SOCKET", "")
        pid, usec = environment.pop("WATCHDOG_PID", ""), environment.pop("WATCHDOG_USEC", "")
        self.watched = bool(self._address) and usec.isdigit() and pid in ("", str(os.getpid()))

    def ready(self, status: str) -> None:
        """The doors are open."""
        self._say(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Work has just gone on."""
        if self.watched:
            self._say("WATCHDOG=1", patience_s=0)

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._say(f"STATUS={status}")

    def stopping(self) -> None:
        """Nothing new is begun."""
        self._say("STOPPING=1")

    def _say(self, text: str, patience_s: float = 1.0) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # systemd that is busy or gone must not hold us up; that work goes on is said again with the next turn
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            door.settimeout(patience_s)
            door.sendto(text.encode(), address)
