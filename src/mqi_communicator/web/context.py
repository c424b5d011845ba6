"""What the dashboard gets from the program: settings, store, queries, users. It does not depend on the flow."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mqi_communicator.case.model import Event
from mqi_communicator.case.views import DEFAULT_POLICY, CaseView, ViewPolicy
from mqi_communicator.results.signature import SignatureDocument
from mqi_communicator.store.database import Database
from mqi_communicator.web.options import WebOptions
from mqi_communicator.web.presence import Presence
from mqi_communicator.web.sessions import Sessions
from mqi_communicator.web.throttle import Throttle
from mqi_communicator.web.tokens import TokensFile, TokenUse
from mqi_communicator.web.updates import Updates
from mqi_communicator.web.users import UsersFile


class Finding(Protocol):
    """One finding of a check of the configuration."""

    @property
    def ok(self) -> bool:
        """Whether the claim holds."""

    @property
    def what(self) -> str:
        """The claim, as a sentence."""

    @property
    def advice(self) -> str:
        """What to do if it does not hold."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries that the program provides. `view` and `record` are what `mqi status` and `mqi show` print."""

    view: Callable[..., list[CaseView]]  # (connection, cases, now), within one read of the store
    record: Callable[[CaseView, Sequence[Event]], dict[str, object]]
    checks_of: Callable[[CaseView], list[dict[str, object]]]
    signatures_of: Callable[[CaseView], tuple[SignatureDocument, ...]]  # a Fault if they do not match the results
    doing: Mapping[str, str]  # name of each step -> description, in the order of the steps
    check_up: Callable[[], AsyncIterator[Finding]]
    running: Callable[[], bool]  # whether a communicator is running on the store


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders that the dashboard reads."""

    watch: Path
    workspace: Path
    results: Path
    store: Path


@dataclass(slots=True)
class DashboardContext:
    """What every page of a running dashboard needs."""

    options: WebOptions
    database: Database
    queries: Queries
    folders: Folders
    hosts: tuple[str, ...]
    settings: Mapping[str, object]  # the effective configuration, without secrets
    versions: Mapping[str, str]
    stalled_after_s: float
    users: UsersFile
    tokens: TokensFile
    token_use: TokenUse
    sessions: Sessions
    policy: ViewPolicy = DEFAULT_POLICY
    updates: Updates = field(init=False)
    presence: Presence = field(init=False)
    throttle: Throttle = field(default_factory=Throttle)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    signing_in: int = 0  # sign-ins that wait or are checked
    listeners: Counter[str] = field(default_factory=Counter)  # open live streams by user
    port: int = 0  # 0 until the server listens

    def __post_init__(self) -> None:
        self.updates = Updates(self.folders.store.parent)
        self.presence = Presence(self.updates.notify)
