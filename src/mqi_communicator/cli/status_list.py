"""The list of `mqi status`: as tables, as JSON, or on a terminal until Ctrl-C."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mqi_communicator.case.states import GROUP_TITLES, words
from mqi_communicator.case.times import offset
from mqi_communicator.case.views import CaseView
from mqi_communicator.case.visible import visible
from mqi_communicator.cli.selection import LAST, Current, current, matching
from mqi_communicator.config import Config
from mqi_communicator.delivery.marker import ResultsMarker
from mqi_communicator.store.database import Database
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.ownership import is_owned
from mqi_communicator.system.command import typed_start
from mqi_communicator.terminal import table

WATCH_S = 2.0  # between two readings
_SHARE_S = 2.0  # how long a share that hangs may delay the list
_LINES = 200  # rows of a list on a terminal, of which only the first fit


@dataclass(frozen=True, slots=True)
class StatusList:
    """The cases that match `wanted`, at most `limit`; without `wanted`, those open and the last `limit` that ended."""

    config: Config
    config_file: Path
    database: Database
    limit: int | None
    wanted: CaseQuery | None

    def write_json(self, out: TextIO) -> None:
        """Write one document, case by case, so that its size does not matter."""
        out.write(f'{{"running": {json.dumps(self._running())}, "cases": [')
        between = ""
        for batch in self._batches():
            for case in batch:
                out.write(f"{between}{json.dumps(case.to_dict())}")
                between = ", "
        out.write("]}\n")

    def show(self, console: Console) -> None:
        """Print the tables."""
        for part in self._tables():
            console.print(part)
        for note in self._notes():
            console.print(note, soft_wrap=True)

    def watch(self, console: Console) -> None:
        """Show as much as fits, what needs action first, and read again every WATCH_S seconds until Ctrl-C."""
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(Group(*self._notes(), *self._tables(at_most=_LINES)), refresh=True)
                time.sleep(WATCH_S)

    def _batches(self) -> Iterator[list[CaseView]]:
        if self.wanted is not None:
            yield from self._matching(self.wanted, self.limit)
            return
        found = self._current()
        yield from found.groups.values()
        yield found.completed

    def _matching(self, wanted: CaseQuery, limit: int | None) -> Iterator[list[CaseView]]:
        return matching(self.database, wanted, self.config.paths.watch, limit, self.config.policy)

    def _current(self) -> Current:
        last = LAST if self.limit is None else self.limit
        return self.database.read_now(current, time.time(), last, self.config.policy)

    def _tables(self, at_most: int | None = None) -> Iterable[RenderableType]:
        if self.wanted is None:
            yield from _groups(self._current(), time.time())
            return
        limit = self.limit if at_most is None else min(at_most, self.limit or at_most)
        number = 0
        for batch in self._matching(self.wanted, limit):
            yield table(batch, head=not number)
            number += len(batch)
        if not number:
            yield "No case matches."

    def _notes(self) -> Iterable[Text]:
        if problem := _results_problem(self.config):
            yield Text(visible(f"Nothing is delivered: {problem}"), "red bold")
        if not self._running():
            start = visible(typed_start(self.config_file))
            yield Text(f"The communicator is not running: cases wait until it is started: {start}", "red bold")

    def _running(self) -> bool:
        return is_owned(self.config.paths.lock)


def _groups(found: Current, now: float) -> Iterable[RenderableType]:
    sizes = {group: len(listed) for group, listed in found.groups.items()} | {"to_review": found.to_review}
    counts = [f"{size} {words(group)}" for group, size in sizes.items()]
    yield Text(f"{', '.join(counts)}; {found.done_today} done today. Times are local, UTC{offset(now)}.")
    yield ""
    head = True
    for group, listed in found.groups.items():
        if listed:
            more = sizes[group] > len(listed)
            number = f"the {len(listed)} most urgent of {sizes[group]}" if more else str(len(listed))
            yield Text(f"{GROUP_TITLES[group]} ({number})", "bold")
            yield table(listed, head=head)
            yield ""
            head = False
    if found.completed:
        yield Text(f"Recently completed (the last {len(found.completed)}; --all lists every case)", "bold")
        yield table(found.completed, head=head)
        yield ""


def _results_problem(settings: Config) -> str:
    """Why nothing is delivered, and what to do."""
    marker = ResultsMarker(settings.paths.results, settings.paths.results_id)
    lines: list[str] = []

    def look() -> None:
        if fault := marker.problem():
            lines.append(f"{fault.reason} -> {fault.advice}")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_SHARE_S)
    return "; ".join(lines)
