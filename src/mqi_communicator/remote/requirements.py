"""What a host must have: asked for in one question, told in words."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from mqi_communicator.case.request import RemoteRequest, RemoteResponse, trouble
from mqi_communicator.case.work import Need

_NEED_LINE = re.compile(r"^mqi-need (\S+) (ok|no|barred)$", re.MULTILINE)
_STARTED = re.compile(r"^mqi-started (\d+) (\d{1,3}|barred) ?([\w+/=]*)$", re.MULTILINE | re.ASCII)
_LOADER = re.compile(r"error while loading shared libraries|symbol lookup error|version `.*' not found|GLIBC")
_NOT_LOADED = ("126", "127", "132")  # 132: SIGILL, built for another processor
_TIMEOUT = "124"
NO_SLURM = "no Slurm to submit to"
_ADVICE = {
    "rsync": "Install rsync on the host.",
    "flock": "Install util-linux on the host.",
    "setsid": "Install util-linux on the host.",
    "coreutils": "Install GNU coreutils on the host.",
    "grep": "Install GNU grep on the host.",
    "findutils": "Install GNU findutils on the host.",
    "proc": "The host must be Linux with /proc mounted.",
    "outlive": "The host ends jobs at logout: run `loginctl enable-linger` for the account.",
    "plain": "Slurm jobs are submitted from this host: use slurm, or direct.on_slurm_host if it may compute itself.",
    "sbatch": "Slurm's commands are not in the PATH of a login without terminal: see ~/.bashrc or ~/.ssh/environment.",
    "answers": "Slurm's controller does not answer there: ask its administrator.",
}
_LABELS = {
    "proc": "/proc",
    "outlive": "jobs that may outlive a login",
    "plain": NO_SLURM,
    "answers": "a Slurm controller that answers",
}


def host(kind: str) -> RemoteRequest:
    """Ask for what every host needs, and what `direct` or `slurm` needs besides."""
    return RemoteRequest("host", (kind,))


def read_host(response: RemoteResponse) -> list[tuple[bool, str, str]]:
    """(whether it is there, what, what to do otherwise)."""
    if response.exit_code != 0:
        raise trouble(response, "looking at the host")
    return [
        (reported == "ok", _LABELS.get(name, name), _ADVICE.get(name, _ADVICE["sbatch"]))
        for name, reported in _NEED_LINE.findall(response.out)
    ]


def needs(wanted: Sequence[Need]) -> RemoteRequest:
    """Ask for what an engine needs."""
    lines = "".join("\t".join((need.kind, need.what, *_words(need))) + "\n" for need in wanted)
    return RemoteRequest("needs", stdin=lines.encode())


def _words(need: Need) -> tuple[str, ...]:
    return need.words if need.kind == "starts" else (need.sha256,) if need.sha256 else ()


def read_needs(wanted: Sequence[Need], response: RemoteResponse) -> list[tuple[bool, str, str]]:
    """As `read_host`; what is not in the answer is not there."""
    if response.exit_code != 0:
        raise trouble(response, "looking for the engine")
    reported = dict(_NEED_LINE.findall(response.out))
    started = {number: (code, output) for number, code, output in _STARTED.findall(response.out)}
    return [
        _read_start(need, *started.get(str(number), ("", "")))
        if need.kind == "starts"
        else _read_need(need, reported.get(str(number), ""))
        for number, need in enumerate(wanted, start=1)
    ]


def _read_need(need: Need, result: str) -> tuple[bool, str, str]:
    if result == "barred":
        advice = "its administrator names the programs (--program), and nothing but their folders is looked at"
        return False, f"{need.what} may not be looked at there", advice
    return result == "ok", f"{need.kind} {need.what}", need.advice


def _read_start(need: Need, code: str, output: str) -> tuple[bool, str, str]:
    """A program that could be loaded says something of its own, whatever its exit code."""
    program = need.words[-2] if len(need.words) > 1 else need.what
    lines = [line.strip() for line in _text(output).splitlines()]
    words = next((line for line in lines if _LOADER.search(line)), next((line for line in lines if line), "no word"))
    if code == "barred":
        return False, f"{need.what} may not be started there", "its administrator names the programs (--program)"
    if not code:
        return False, f"{program} could not be tried", "look at the space and the rights of /tmp there"
    if code == _TIMEOUT:
        return False, f"{program} did not end within 20 s although it had no input", need.advice
    if code in _NOT_LOADED or any(_LOADER.search(line) for line in lines):
        return False, f"{program} cannot be started (exit code {code}): {words[:300]}", need.advice
    if need.says and not any(re.search(need.says, line) for line in lines):
        return False, f"{program} is not what it should be: without input it says {words[:300]!r}", need.advice
    return True, f"{program} starts", need.advice


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""
