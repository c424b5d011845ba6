"""The pages that a running communicator serves."""

from __future__ import annotations

import urllib.error
import urllib.request


def page(daemon, name: str) -> tuple[int, str]:
    """One of the daemon's pages."""
    port = next(record["port"] for record in daemon.lines if record["event"] == "started")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
