"""What a child process of the communicator does so that its parent can watch it (`child.py`)."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

BEAT_S = 2.0
_STDIN = 0


async def report_alive() -> None:
    """Report to the parent, over the socket that is stdin, as long as the event loop runs and files can be opened.

    Returns when the parent has closed its end: it has ended, or ended before `die_with_parent` was called.
    """
    with socket.socket(fileno=os.dup(_STDIN)) as parent:
        parent.setblocking(False)  # noqa: FBT003 - its name
        while True:
            with suppress(OSError):
                os.close(os.open(os.devnull, os.O_RDONLY))
                parent.send(b".")
            try:
                async with asyncio.timeout(BEAT_S):
                    await asyncio.get_running_loop().sock_recv(parent, 1)
            except TimeoutError:
                continue
            except OSError:
                pass
            return
