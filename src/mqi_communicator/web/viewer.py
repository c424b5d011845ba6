"""The viewer: its page, and the volumes of a case as its report recorded them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Sequence
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mqi_communicator.case.model import Event
from mqi_communicator.case.views import CaseView
from mqi_communicator.report.viewer_file import SUFFIX, chunks, owner
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import refusal
from mqi_communicator.web.pages import error_page
from mqi_communicator.web.rendering import page
from mqi_communicator.web.search import case_detail

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CACHED = "private, max-age=31536000, immutable"  # the name is the digest of the content
_NO_CASE = "There is no case with this key."


def recorded(events: Sequence[Event]) -> str | None:
    """The digest of the volumes of the last judgement, "" if they were not made; None while there is no report."""
    found: str | None = None
    for event in events:
        if event.event == "step.done" and event.step == "compare":
            found = None
        if event.event == "step.done" and event.step == "report":
            digest = str(event.facts.get("viewer", ""))
            found = digest if _DIGEST.fullmatch(digest) else ""
    return found


async def _case_and_digest(request: Request) -> tuple[CaseView, str | None] | None:
    """The case of the address and what `recorded` says of it; None if there is no such case."""
    seen = await case_detail(request.app.state.context, str(request.path_params["key"]))
    return None if seen is None else (seen.case, recorded(seen.events))


async def page_of_case(request: Request) -> Response:
    """GET /case/KEY/viewer."""
    context: DashboardContext = request.app.state.context
    found = await _case_and_digest(request)
    if found is None:
        return error_page(request, _NO_CASE)
    case, digest = found
    key = case.case
    made = bool(digest) and await asyncio.to_thread(_path(context, key, digest or "").is_file)
    missing = f"Case {key} has no volumes to show. They are made with the report: mqi rejudge {key} makes both again."
    if digest is None and not case.results:
        missing = f"Case {key} has no volumes to show yet. They are made with the report, when the case is judged."
    return page(request, "viewer.html", case=case, file=digest if made else "", missing=missing)


async def volumes(request: Request) -> Response:
    """GET /case/KEY/viewer/DIGEST.bin: the recorded file, verified before it is sent."""
    context: DashboardContext = request.app.state.context
    found = await _case_and_digest(request)
    if found is None:
        return error_page(request, _NO_CASE)
    key, digest = found[0].case, found[1]
    if not digest or request.path_params["name"] != f"{digest}{SUFFIX}":
        return error_page(request, "There are no such volumes.")
    try:
        file = await asyncio.to_thread(_opened, _path(context, key, digest), digest, key)
    except FileNotFoundError:
        return error_page(request, f"The volumes of case {key} no longer exist: mqi rejudge {key} makes them again.")
    except (OSError, ValueError, KeyError):
        structlog.get_logger().error("web.volumes_damaged", case=key)
        message = f"The volumes of case {key} are not those that were recorded and are not shown: mqi rejudge {key}"
        return refusal(request.url.path, HTTPStatus.CONFLICT, f"{message} makes them again.")
    headers = {"Cache-Control": _CACHED, "Content-Length": str(os.fstat(file.fileno()).st_size)}
    return _File(file, media_type="application/octet-stream", headers=headers)


class _File(StreamingResponse):
    """An open file, which is closed whatever happens to the connection."""

    def __init__(self, file: BufferedReader, **more: object) -> None:
        super().__init__(chunks(file), **more)  # type: ignore[arg-type]
        self._file = file

    async def __call__(self, *arguments: object) -> None:
        try:
            await super().__call__(*arguments)  # type: ignore[arg-type]
        finally:
            self._file.close()


def _path(context: DashboardContext, key: str, digest: str) -> Path:
    return context.folders.workspace / "spool" / key / "viewer" / f"{digest}{SUFFIX}"


def _opened(path: Path, digest: str, key: str) -> BufferedReader:
    """The file at its beginning. OSError if it cannot be read; ValueError if it is another file, or of another case."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    try:
        _verify(file, digest, key)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _verify(file: BufferedReader, digest: str, key: str) -> None:
    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
        raise ValueError("the digest differs")
    file.seek(0)
    if owner(file)[0] != key:
        raise ValueError("the volumes are of another case")
