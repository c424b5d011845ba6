"""Notifications to systemd with Type=notify: ready, stopping, and the watchdog's keep-alive.

The protocol is a datagram of NAME=VALUE lines to a unix socket (sd_notify(3)). `alive` is called after proven progress;
nothing in here sends it automatically.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress


class Notifier:
    """Sends to the socket that the environment names; does nothing if there is none."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Remove the variables from `environment`: no child process may notify systemd."""
        self._address = environment.pop("NOTIFY_SOCKET", "")
        pid, usec = environment.pop("WATCHDOG_PID", ""), environment.pop("WATCHDOG_USEC", "")
        self.watched = bool(self._address) and usec.isdigit() and pid in ("", str(os.getpid()))

    def ready(self, status: str) -> None:
        """Start-up is complete."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Keep-alive for the watchdog: work has just made progress."""
        if self.watched:
            self._send("WATCHDOG=1", timeout_s=0)

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """Shutdown has begun."""
        self._send("STOPPING=1")

    def _send(self, text: str, timeout_s: float = 1.0) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # a busy or missing systemd must not block us; the keep-alive is repeated with the next turn
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(timeout_s)
            connection.sendto(text.encode(), address)
