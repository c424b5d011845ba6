"""What the dashboard is handed. It asks and shows; it knows nothing of how a case moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mqi_communicator.case.model import Event
from mqi_communicator.case.views import CaseView
from mqi_communicator.store.database import Database
from mqi_communicator.web.options import WebOptions
from mqi_communicator.web.sessions import Sessions
from mqi_communicator.web.throttle import Throttle
from mqi_communicator.web.users import UsersFile


class Finding(Protocol):
    """One finding of a check of the configuration."""

    @property
    def ok(self) -> bool:
        """Whether the claim holds."""

    @property
    def what(self) -> str:
        """The claim, in words."""

    @property
    def advice(self) -> str:
        """What to do where it does not."""


@dataclass(frozen=True, slots=True)
class Queries:
    """How the flow's knowledge is asked for. `view` and `record` are what `mqi status` and `mqi show` print."""

    view: Callable[..., list[CaseView]]  # (connection, cases, now), within one read of the store
    record: Callable[[CaseView, Sequence[Event]], dict[str, object]]
    checks_of: Callable[[CaseView], list[dict[str, object]]]
    doing: Mapping[str, str]  # each step's name -> for people, in the order of the way
    check_up: Callable[[], AsyncIterator[Finding]]
    running: Callable[[], bool]  # whether a communicator works on the store now


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders the dashboard looks at."""

    watch: Path
    workspace: Path
    results: Path
    store: Path


@dataclass(slots=True)
class DashboardContext:
    """Everything a running dashboard consists of."""

    options: WebOptions
    database: Database
    queries: Queries
    folders: Folders
    hosts: tuple[str, ...]
    settings: Mapping[str, object]  # the configuration in effect, secrets absent
    versions: Mapping[str, str]
    stalled_after_s: float
    users: UsersFile
    sessions: Sessions
    throttle: Throttle = field(default_factory=Throttle)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: Counter[str] = field(default_factory=Counter)  # open live streams by user
    port: int = 0  # in use; 0 before it listens
