"""Assemble the dashboard: the queries of the flow that it may use, and a database connection of its own."""

from __future__ import annotations

import platform
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mqi_communicator.case.views import CaseView
from mqi_communicator.config import Config, effective_digest
from mqi_communicator.flow.steps.table import IN_ORDER
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.flow.view import checks_of, record, view
from mqi_communicator.results.signature import SignatureDocument
from mqi_communicator.store.existing import open_existing
from mqi_communicator.web.context import DashboardContext, Finding, Folders, Queries
from mqi_communicator.web.options import WebOptions
from mqi_communicator.web.server import Dashboard, serve
from mqi_communicator.web.sessions import Sessions
from mqi_communicator.web.tokens import token_use_of, tokens_of
from mqi_communicator.web.users import users_of

_SECRET = re.compile(r"passw|secret|token|credential|passphrase|webhook|api_?key", re.IGNORECASE)
_LIBRARIES = ("numba", "numpy", "pydicom", "sqlalchemy", "starlette", "uvicorn")


def open_dashboard(config: Config, options: WebOptions, running: Callable[[], bool]) -> Dashboard:
    """Serve the dashboard of a configuration. ActionRequired when it cannot be served. Needs a running loop."""
    steps = {step.name: step.activity for step in IN_ORDER}
    users = users_of(options, config.paths.workspace)
    context = DashboardContext(
        options=options,
        database=open_existing(config.paths.store),
        queries=Queries(
            partial(view, policy=config.policy),
            record,
            checks_of,
            _signatures_of,
            steps,
            lambda: _checks(config),
            running,
        ),
        folders=Folders(config.paths.watch, config.paths.workspace, config.paths.results, config.paths.store),
        hosts=tuple(host.name for host in config.all_hosts),
        settings=without_secrets(config.model_dump(mode="json", exclude_none=True)),
        versions=versions(config),
        stalled_after_s=config.monitoring.stalled_after_s,
        users=users,
        tokens=tokens_of(users.path),
        token_use=token_use_of(config.paths.workspace),
        sessions=Sessions(options.session_hours),
        policy=config.policy,
    )
    return serve(context)


def _signatures_of(case: CaseView) -> tuple[SignatureDocument, ...]:
    return signatures_of(Path(case.results)) if case.results else ()


def _checks(config: Config) -> AsyncIterator[Finding]:
    """The findings of `mqi check`, which loads what the communicator loads."""
    from mqi_communicator.checks import check_all

    return check_all(config)


def versions(config: Config) -> dict[str, str]:
    """The versions of the communicator and its main libraries."""
    found = {
        "MQI Communicator": version("mqi-communicator"),
        "configuration (sha256)": effective_digest(config),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
    }
    return found | {name: version(name) for name in _LIBRARIES}


def without_secrets(settings: Any) -> Any:
    """Settings without the values whose names mark them as secret."""
    if isinstance(settings, dict):
        return {
            key: "(not shown)" if _SECRET.search(key) and value else without_secrets(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list):
        return [without_secrets(item) for item in settings]
    return settings
