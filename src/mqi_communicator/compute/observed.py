"""What a job left on the host, looked at by shell text and read back. Nothing in a log can forge a status."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from mqi_communicator.compute.scheduler import JobState, JobStatus

END = "mqi-end"

# One line per job. Words that are not plain become "garbled"; free text travels as base64.
# A job that seems dead and left no exit file is not reported at the first look ($last is empty).
LOOK = r"""
word_of() {
  word=; { IFS= read -r word <"$1"; } 2>/dev/null
  case "$word" in ''|*[!0-9A-Za-z._,-]*) word=garbled ;; esac
}
life_of() {
  life=unknown
  IFS=,; set -- "$1" $began; unset IFS
  [ $# = 6 ] && [ -n "$boot" ] || return 0
  if [ "$6" != "$node" ]; then life=elsewhere; return 0; fi
  if [ "$5" != "$boot" ]; then life=rebooted; return 0; fi
  if lives "$3" "$4"; then life=alive; return 0; fi
  members "$1" "$3" "$4"
  if [ -n "$alive" ]; then life=alive; return 0; fi
  if [ ! -e "/proc/$3" ] && [ -n "$(in_session "$3")" ]; then return 0; fi
  life=dead
}
look() {
  gate="$root/gates/$1"; run="$root/cases/${1%-b*}/runs/$1"
  kind=none; life=none; began=none; ended=none; products=; log=
  if [ -e "$gate/started" ]; then
    kind=job; word_of "$gate/started"; began=$word
    if [ ! -e "$run/exit" ]; then life_of "$1"; fi
  elif [ -e "$gate/barred" ]; then kind=barred
  elif [ -e "$gate" ] || [ -L "$gate" ]; then kind=foreign
  elif [ -e "$run" ]; then kind=stray
  fi
  if [ $kind = job ]; then
    if [ -e "$run/exit" ]; then word_of "$run/exit"; ended=$word
    elif [ $life = dead ] && [ -z "$last" ]; then return 1; fi
    if [ -f "$run/log" ]; then log=$(tail -c "$tail" -- "$run/log" | base64 -w0); fi
    if [ $ended != none ] && [ -f "$run/products.sha256" ]; then
      products=$(head -c 262144 -- "$run/products.sha256" | base64 -w0)
    fi
  fi
  echo "mqi-job $1 $kind $life $began $ended products=$products log=$log"
}
""".strip()

_LINE = re.compile(r"mqi-job (\S+) (\w+) (\w+) (\S+) (\S+) products=([\w+/=]*) log=([\w+/=]*)", re.ASCII)
_STARTED = re.compile(r"(\d{1,12}),\d+,\d+,[0-9a-f-]+,[\w.-]+", re.ASCII)
_EXIT = re.compile(r"(\d{1,3}),(\d{1,12})", re.ASCII)
_PRODUCT = re.compile(r"([0-9a-f]{64}) (\d+) \./(.+)")


def read_observations(tokens: Sequence[str], exit_code: int, out: str) -> Mapping[str, JobStatus]:
    """A status for each token. An answer without its end, or with two words about one job, proves nothing."""
    lines = out.splitlines()
    if exit_code != 0 or not lines or lines[-1] != END:
        return dict.fromkeys(tokens, JobStatus(JobState.UNKNOWN, raw=f"no whole answer (exit {exit_code})"))
    found: dict[str, list[JobStatus]] = {token: [] for token in tokens}
    for line in lines[:-1]:
        match = _LINE.fullmatch(line)
        if match is not None and match[1] in found:
            found[match[1]].append(_status(match))
    silent = JobStatus(JobState.UNKNOWN, raw="not in the answer")
    return {token: seen[0] if len(seen) == 1 else silent for token, seen in found.items()}


def _status(match: re.Match[str]) -> JobStatus:
    _, kind, life, began, ended, products, log = match.groups()
    started, exited = _STARTED.fullmatch(began), _EXIT.fullmatch(ended)
    state = _state(kind, life, ended=ended, known_end=exited is not None)
    return JobStatus(
        state,
        raw=f"gate={kind} life={life} exit={ended}",
        exit_code=int(exited[1]) if exited else None,
        started=float(started[1]) if started else None,
        ended=float(exited[2]) if exited else None,
        log_tail=_text(log),
        products=_products(_text(products)) if state is JobState.ENDED else None,
    )


def _state(kind: str, life: str, *, ended: str, known_end: bool) -> JobState:
    simple = {"none": JobState.ABSENT, "barred": JobState.BARRED}
    if kind != "job":
        return simple.get(kind, JobState.UNKNOWN)
    if ended != "none":
        return JobState.ENDED if known_end else JobState.UNKNOWN
    lives = {"alive": JobState.RUNNING, "dead": JobState.LOST, "rebooted": JobState.LOST}
    return lives.get(life, JobState.UNKNOWN)


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _products(text: str) -> dict[str, tuple[int, str]]:
    lines = (_PRODUCT.fullmatch(line) for line in text.split("\n"))
    return {line[3]: (int(line[2]), line[1]) for line in lines if line}
