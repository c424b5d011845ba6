"""Frame a shell script for stdin, so that a truncated one never runs and no process title shows its text.

The remote command line is constant except for a random mark and the length. `head -c` reads the script from stdin and
leaves the rest as the script's own stdin. The script must end with the mark: one that a lost connection truncated is
not started. The response must end with the mark as well; without it, the outcome of the script is unknown.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mqi_communicator.case.request import RemoteRequest, RemoteResponse

_EXIT_CODE = re.compile(rb"\d{1,3}")
_MARGIN = 15  # seconds after our own deadline at which the host ends an abandoned script

# No single quote, newline or "!" inside: sh, bash, zsh, csh and fish then all pass it unchanged.
_BOOT = (
    'umask 077; mark={mark}; mqi_text=$(head -c {size}); case "$mqi_text" in *"#{mark}") ( eval "$mqi_text" ); c=$?; '
    'printf "\\n{mark} %d\\n" $c ;; esac'
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One framed request. `remote_command` goes to the remote login shell, `payload` to its stdin."""

    mark: str
    limit: int  # seconds
    payload: bytes
    boot: str = ""  # shell text; "" where the script is installed on the host
    words: str = ""  # verb and arguments for an installed script

    @property
    def argv(self) -> tuple[str, ...]:
        """The command to run on this machine."""
        return ("timeout", "-k", "5", str(self.limit), "sh", "-c", self.boot)

    @property
    def remote_command(self) -> str:
        """The command line for a remote login shell, or for the forced command that replaces it."""
        if self.words:
            return f"mqi-host {self.mark} {self.limit} {self.words}"
        return f"exec timeout -k 5 {self.limit} sh -c '{self.boot}'"

    def response(self, out: bytes, err: str) -> RemoteResponse | None:
        """The response if it is complete; None if the outcome of the script is unknown."""
        body, mark, tail = out.rpartition(f"\n{self.mark} ".encode())
        code = tail.strip()
        if not mark or not _EXIT_CODE.fullmatch(code) or not tail.endswith(b"\n"):
            return None
        return RemoteResponse(int(code), body.decode("utf-8", "replace"), err)

    def verified_lines(self, on_line: Callable[[str], None] | None) -> Callable[[bytes], None] | None:
        """Wrap `on_line` so that it receives only lines that end with the mark: those are complete."""
        if on_line is None:
            return None

        def forward(line: bytes) -> None:
            text = line.decode("utf-8", "replace")
            if text.endswith(f" {self.mark}"):
                on_line(text)

        return forward


def frame_script(script: str, *, deadline: float, stdin: bytes = b"") -> Envelope:
    """Frame POSIX shell text together with its stdin. `deadline` in seconds."""
    if "\0" in script:
        raise ValueError("shell text must not contain NUL")
    mark = _mark()
    text = f"{script}\n#{mark}".encode()
    return Envelope(mark, int(deadline) + _MARGIN, text + stdin, boot=_BOOT.format(size=len(text), mark=mark))


def frame_request(request: RemoteRequest, *, deadline: float) -> Envelope:
    """Frame a request to a host on which the script is installed."""
    return Envelope(_mark(), int(deadline) + _MARGIN, request.stdin, words=" ".join((request.verb, *request.arguments)))


def _mark() -> str:
    return "mqi-" + secrets.token_hex(8)
