"""How a script travels: over stdin, framed, so that its end is proved and no process title shows it.

The remote command line is constant but for two random words and the length. `head -c` takes the script off stdin and
leaves the rest to the script's own stdin. The script must end with its mark: a script cut short by a lost
connection is never begun. The answer must end with its mark too: an answer without one proves nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mqi_communicator.case.request import RemoteRequest, RemoteResponse

_EXIT_CODE = re.compile(rb"\d{1,3}")
_MARGIN = 15  # seconds the far side gets beyond our own deadline before it ends an abandoned script itself

# No single quote, no newline and no "!" inside: sh, bash, zsh, csh and fish then all hand it on unchanged.
_BOOT = (
    'umask 077; mark={mark}; mqi_text=$(head -c {size}); case "$mqi_text" in *"#{mark}") ( eval "$mqi_text" ); c=$?; '
    'printf "\\n{mark} %d\\n" $c ;; esac'
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One question on its way. `remote_words` is what a remote login shell is given; `payload` goes to its stdin."""

    mark: str
    limit: int  # seconds
    payload: bytes
    boot: str = ""  # shell text; "" where the script is installed over there
    words: str = ""  # what is asked of an installed script

    @property
    def argv(self) -> tuple[str, ...]:
        """The command for a machine whose programs we start ourselves."""
        return ("timeout", "-k", "5", str(self.limit), "sh", "-c", self.boot)

    @property
    def remote_command(self) -> str:
        """The command line for a remote login shell, or for the forced command that stands in its place."""
        if self.words:
            return f"mqi-host {self.mark} {self.limit} {self.words}"
        return f"exec timeout -k 5 {self.limit} sh -c '{self.boot}'"

    def response(self, out: bytes, err: str) -> RemoteResponse | None:
        """The answer if it is whole, else None: the script's fate is then unknown."""
        body, mark, tail = out.rpartition(f"\n{self.mark} ".encode())
        code = tail.strip()
        if not mark or not _EXIT_CODE.fullmatch(code) or not tail.endswith(b"\n"):
            return None
        return RemoteResponse(int(code), body.decode("utf-8", "replace"), err)

    def verified_lines(self, on_line: Callable[[str], None] | None) -> Callable[[bytes], None] | None:
        """Passes a line on that came early, if it ends with our mark: then it came whole."""
        if on_line is None:
            return None

        def listen(line: bytes) -> None:
            text = line.decode("utf-8", "replace")
            if text.endswith(f" {self.mark}"):
                on_line(text)

        return listen


def frame_script(script: str, *, deadline: float, stdin: bytes = b"") -> Envelope:
    """Frame POSIX shell text and what it shall read on stdin. `deadline` in seconds."""
    if "\0" in script:
        raise ValueError("shell text cannot hold a NUL")
    mark = _mark()
    text = f"{script}\n#{mark}".encode()
    return Envelope(mark, int(deadline) + _MARGIN, text + stdin, boot=_BOOT.format(size=len(text), mark=mark))


def frame_request(request: RemoteRequest, *, deadline: float) -> Envelope:
    """Frame a question to a host on which the script is installed."""
    return Envelope(_mark(), int(deadline) + _MARGIN, request.stdin, words=" ".join((request.verb, *request.words)))


def _mark() -> str:
    return "mqi-" + secrets.token_hex(8)
