"""What one beam's job runs: programs, one after another, in a new run folder on the host.

An engine defines it, a scheduler submits it, a small script on the host runs it. No argument passes through a shell:
programs receive them unchanged, except that a leading `~/` becomes the account's home on the host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_WORD = re.compile(r"[^\x00-\x1f\x7f]+")
_INPUT = "../../input/"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a job. The run folder is its working directory; `../../input/` holds what was sent.

    `name` labels it in the log. It succeeds if it exits with 0 and each of `outputs` (paths below the run folder)
    exists and is not empty; otherwise the job ends with it. ValueError for arguments that cannot be passed.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    limit_s: float | None = None  # None: the rest of the job's own limit

    def __post_init__(self) -> None:
        """Refuse what the script on the host could not read back unchanged."""
        words = (*self.argv, *(value for _, value in self.env))
        if not self.argv or not all(_WORD.fullmatch(word) for word in words):
            raise ValueError(f"{self.name}: an argument of a program is empty or contains a control character")
        if self.argv[0].startswith("-") or "=" in self.argv[0]:
            raise ValueError(f"{self.name}: a program's path must not begin with a dash or contain an equals sign")
        if not _LABEL.fullmatch(self.name) or not all(_NAME.fullmatch(name) for name, _ in self.env):
            raise ValueError(f"{self.name!r} is not a program name, or its environment has an invalid name")
        for path in self.outputs:
            below(path)


@dataclass(frozen=True, slots=True)
class Work:
    """One job. The job itself makes the digests of its `products` at the end, after success or failure."""

    programs: tuple[Program, ...]
    products: tuple[str, ...]  # paths below the run folder that a complete run creates
    limit_s: float  # wall time after which the whole job is ended (exit 124)
    folders: tuple[str, ...] = ()  # made in the run folder before the first program
    shown: tuple[str, ...] = ()  # text files of the input (../../input/...) appended to the log of a successful job

    def __post_init__(self) -> None:
        """ValueError for a path outside the run folder, and for a shown file outside the input."""
        for path in (*self.products, *self.folders):
            below(path)
        for path in self.shown:
            if not path.startswith(_INPUT):
                raise ValueError(f"not a file of the input: {path!r}")
            below(path.removeprefix(_INPUT))


@dataclass(frozen=True, slots=True)
class Need:
    """A requirement of a host: a program in its PATH, an executable, a readable file, a file with a digest; or a
    program that starts (`starts`): it is started once, with `arguments`, in an empty folder, and must print `says`."""

    kind: Literal["program", "executable", "readable", "sha256", "starts"]
    what: str  # the program's name or the path; a leading ~/ is the account's home there
    advice: str  # what to do if it is missing
    sha256: str = ""
    arguments: tuple[str, ...] = ()  # arguments of the program that is started
    says: str = ""  # what it must print, as a regular expression; "": anything

    def __post_init__(self) -> None:
        """ValueError for a name that cannot be passed."""
        if not all(_WORD.fullmatch(word) for word in (self.what, *self.arguments)) or not re.fullmatch(
            r"([0-9a-f]{64})?", self.sha256
        ):
            raise ValueError(f"not a requirement of a host: {self.what!r}")


def below(path: str) -> str:
    """Return the path if it is below a folder. ValueError otherwise."""
    if not _WORD.fullmatch(path) or path.startswith(("/", "~", "-")) or ".." in path.split("/"):
        raise ValueError(f"not a path below the run folder: {path!r}")
    return path
