"""The state of a job on the host, as the script there reports it. Nothing in a log can forge a status."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.scheduler import Cause, JobState, JobStatus

END = "mqi-end"

_LINE = re.compile(r"mqi-job (\S+) (\w+) (\w+) (\S+) (\S+) products=([\w+/=]*) log=([\w+/=]*) (\S+)", re.ASCII)
_STARTED = re.compile(r"(\d{1,12}),\d+,\d+,[0-9a-f-]+,[\w.-]+,(\w+)", re.ASCII)
_EXIT = re.compile(r"(\d{1,3}),(\d{1,12})", re.ASCII)
_PRODUCT = re.compile(r"([0-9a-f]{64}) (\d{1,18}) \./(.+)", re.ASCII)
_LIVES = {"alive": JobState.RUNNING, "dead": JobState.LOST, "rebooted": JobState.LOST}


@dataclass(frozen=True, slots=True)
class Observed:
    """One report line on one job: its gate (`kind`), its processes (`life`), its record, its exit file."""

    token: str
    kind: str
    life: str
    began: str
    ended: str
    log_tail: str = ""
    products: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @staticmethod
    def read(line: str) -> Observed | None:
        """Parse a line; None if it is not a report on a job."""
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        token, kind, life, began, ended, products, log, _mark = match.groups()
        return Observed(token, kind, life, began, ended, _text(log), _products(_text(products)))

    @property
    def state(self) -> JobState:
        """The state that this report alone proves, on a host without a scheduler."""
        simple = {"none": JobState.ABSENT, "barred": JobState.BARRED}
        if self.kind != "job":
            return JobState.UNKNOWN if self.life == "alive" else simple.get(self.kind, JobState.UNKNOWN)
        if self.ended != "none":
            return JobState.ENDED if _EXIT.fullmatch(self.ended) else JobState.UNKNOWN
        return _LIVES.get(self.life, JobState.UNKNOWN)

    @property
    def began_at(self) -> float:
        """When the job took its gate or was submitted (epoch seconds, the host's clock); 0 if unknown."""
        started = _STARTED.fullmatch(self.began)
        word = started[1] if started else self.began
        return float(word) if re.fullmatch(r"\d{1,12}", word, re.ASCII) else 0.0

    @property
    def scheduler_id(self) -> str:
        """The scheduler's id of the job that took the gate; "" if there is none."""
        started = _STARTED.fullmatch(self.began)
        return started[2] if started and started[2] != "none" else ""

    def status(
        self,
        state: JobState | None = None,
        raw: str = "",
        cause: Cause | None = None,
        *,
        queued_because: str = "",
        stuck: bool = False,
    ) -> JobStatus:
        """This report as a status; the arguments are what a scheduler knows in addition."""
        started, exited = _STARTED.fullmatch(self.began), _EXIT.fullmatch(self.ended)
        final = state or self.state
        return JobStatus(
            final,
            raw=raw or f"gate={self.kind} life={self.life} exit={self.ended}",
            exit_code=int(exited[1]) if exited else None,
            started=float(started[1]) if started else None,
            ended=float(exited[2]) if exited else None,
            log_tail=self.log_tail,
            products=self.products if final is JobState.ENDED else None,
            cause=cause,
            queued_because=queued_because,
            stuck=stuck,
        )


def read_observations(tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
    """A status for each token, from the reports alone."""
    if not _is_whole(response):
        return dict.fromkeys(
            tokens, JobStatus(JobState.UNKNOWN, raw=f"incomplete response (exit code {response.exit_code})")
        )
    seen = read_lines(tokens, response)
    missing = JobStatus(JobState.UNKNOWN, raw="not in the response")
    return {token: seen[token].status() if token in seen else missing for token in tokens}


def read_lines(tokens: Sequence[str], response: RemoteResponse) -> dict[str, Observed]:
    """The report on each token. A response without its end line is ignored, and so are contradicting reports on a job.

    A job that ended while the script was still waiting is reported twice, running and ended: the later report counts.
    """
    if not _is_whole(response):
        return {}
    found: dict[str, list[Observed]] = {token: [] for token in tokens}
    for line in response.out.split("\n"):
        seen = Observed.read(line)
        if seen is not None and seen.token in found:
            found[seen.token].append(seen)
    return {token: one for token, seen in found.items() if (one := _one(seen))}


def _is_whole(response: RemoteResponse) -> bool:
    return response.exit_code == 0 and END in response.out.split("\n")


def _one(seen: Sequence[Observed]) -> Observed | None:
    """The valid report on a job: a single one, or the second of two if it is the job's end."""
    match seen:
        case [only]:
            return only
        case [before, after] if before.ended == "none" and after.state is JobState.ENDED:
            return after
        case _:
            return None


def read_early_line(line: str) -> tuple[str, JobStatus] | None:
    """Parse a line that arrived before the end of the response."""
    seen = Observed.read(line)
    return None if seen is None else (seen.token, seen.status())


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _products(text: str) -> dict[str, tuple[int, str]]:
    lines = (_PRODUCT.fullmatch(line) for line in text.split("\n"))
    return {line[3]: (int(line[2]), line[1]) for line in lines if line}
