"""Check in one request whether a host has what is required, and describe the result."""

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
    "outlive": "The host kills jobs at logout: run `loginctl enable-linger` for the account.",
    "plain": "Slurm jobs are submitted from this host: use slurm, or direct.on_slurm_host if it may run jobs itself.",
    "sbatch": "Slurm's commands are not in the PATH of a non-interactive login: see ~/.bashrc or ~/.ssh/environment.",
    "answers": "Slurm's controller does not answer: ask the host's administrator.",
}
_LABELS = {
    "proc": "/proc",
    "outlive": "jobs that survive a logout",
    "plain": NO_SLURM,
    "answers": "a Slurm controller that answers",
}


def host(kind: str) -> RemoteRequest:
    """Request the check of what every host needs, and of what `direct` or `slurm` needs in addition."""
    return RemoteRequest("host", (kind,))


def read_host(response: RemoteResponse) -> list[tuple[bool, str, str]]:
    """(whether it is available, what it is, advice if it is not) for each requirement."""
    if response.exit_code != 0:
        raise trouble(response, "checking the host")
    return [
        (reported == "ok", _LABELS.get(name, name), _ADVICE.get(name, _ADVICE["sbatch"]))
        for name, reported in _NEED_LINE.findall(response.out)
    ]


def needs(wanted: Sequence[Need]) -> RemoteRequest:
    """Request the check of what an engine needs."""
    lines = "".join("\t".join((need.kind, need.what, *_arguments(need))) + "\n" for need in wanted)
    return RemoteRequest("needs", stdin=lines.encode())


def _arguments(need: Need) -> tuple[str, ...]:
    return need.arguments if need.kind == "starts" else (need.sha256,) if need.sha256 else ()


def read_needs(wanted: Sequence[Need], response: RemoteResponse) -> list[tuple[bool, str, str]]:
    """Like `read_host`; what the response does not list is missing."""
    if response.exit_code != 0:
        raise trouble(response, "checking the engine")
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
        advice = "the host's administrator lists the allowed programs (--program); only their folders are checked"
        return False, f"checking {need.what} is not allowed on the host", advice
    return result == "ok", f"{need.kind} {need.what}", need.advice


def _read_start(need: Need, code: str, output: str) -> tuple[bool, str, str]:
    """A program that can be loaded prints something of its own, whatever its exit code."""
    program = need.arguments[-2] if len(need.arguments) > 1 else need.what
    lines = [line.strip() for line in _text(output).splitlines()]
    text = next((line for line in lines if _LOADER.search(line)), next((line for line in lines if line), "no output"))
    if code == "barred":
        return (
            False,
            f"running {need.what} is not allowed on the host",
            "the host's administrator lists the allowed programs (--program)",
        )
    if not code:
        return False, f"{program} could not be tested", "check free space and permissions of /tmp on the host"
    if code == _TIMEOUT:
        return False, f"{program} did not exit within 20 s without input", need.advice
    if code in _NOT_LOADED or any(_LOADER.search(line) for line in lines):
        return False, f"{program} cannot be started (exit code {code}): {text[:300]}", need.advice
    if need.says and not any(re.search(need.says, line) for line in lines):
        return False, f"{program} is not the expected program: without input it prints {text[:300]!r}", need.advice
    return True, f"{program} starts", need.advice


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""
