"""What a host must have: asked for in one question, told in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mqi_communicator.case.call import Answer, Call, trouble
from mqi_communicator.case.work import Need

_TOLD = re.compile(r"^mqi-need (\S+) (ok|no)$", re.MULTILINE)
PLAIN = "no Slurm to submit to"
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
_WORDS = {
    "proc": "/proc",
    "outlive": "jobs that may outlive a login",
    "plain": PLAIN,
    "answers": "a Slurm controller that answers",
}


def host(kind: str) -> Call:
    """Ask for what every host needs, and what `direct` or `slurm` needs besides."""
    return Call("host", (kind,))


def read_host(answer: Answer) -> list[tuple[bool, str, str]]:
    """(whether it is there, what, what to do otherwise)."""
    if answer.exit_code != 0:
        raise trouble(answer, "looking at the host")
    return [
        (told == "ok", _WORDS.get(name, name), _ADVICE.get(name, _ADVICE["sbatch"]))
        for name, told in _TOLD.findall(answer.out)
    ]


def needs(wanted: Sequence[Need]) -> Call:
    """Ask for what an engine needs."""
    lines = "".join(f"{need.kind}\t{need.what}\t{need.sha256}\n" for need in wanted)
    return Call("needs", stdin=lines.encode())


def read_needs(wanted: Sequence[Need], answer: Answer) -> list[tuple[bool, str, str]]:
    """As `read_host`; what is not in the answer is not there."""
    if answer.exit_code != 0:
        raise trouble(answer, "looking for the engine")
    told = dict(_TOLD.findall(answer.out))
    return [
        (told.get(str(number)) == "ok", f"{need.kind} {need.what}", need.advice)
        for number, need in enumerate(wanted, start=1)
    ]
