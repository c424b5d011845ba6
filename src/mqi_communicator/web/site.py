"""The application: all routes and error handlers."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route

from mqi_communicator.case.faults import Fault
from mqi_communicator.web import api, export, live, pages, signing_in, start_page, viewer
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import API, RequestInfo, refusal
from mqi_communicator.web.rendering import STATIC, environment
from mqi_communicator.web.static_files import VersionedFiles

ROUTES = (
    Route("/", start_page.start_page),
    Route("/case/{key}", pages.case),
    Route("/case/{key}/order", pages.order, methods=["POST"]),
    Route("/case/{key}/sign", pages.sign, methods=["POST"]),
    Route("/case/{key}/file/{name}", pages.file),
    Route("/case/{key}/viewer", viewer.page_of_case),
    Route("/case/{key}/viewer/{name}", viewer.volumes),
    Route("/history", pages.history, methods=["GET", "POST"]),
    Route("/history.csv", export.csv_file, methods=["POST"]),
    Route("/system", pages.system),
    Route("/system/check", pages.check, methods=["POST"]),
    Route("/live", live.stream),
    Route("/login", signing_in.login_page),
    Route("/login", signing_in.sign_in, methods=["POST"]),
    Route("/logout", signing_in.sign_out, methods=["POST"]),
    Route("/api/v1/me", api.me),
    Route("/api/v1/now", api.now),
    Route("/api/v1/status", api.status),
    Route("/api/v1/worklist", start_page.worklist),
    Route("/api/v1/search", api.search_cases, methods=["POST"]),
    Route("/api/v1/cases/{key}", api.show),
    Route("/api/v1/cases/{key}/why", api.why),
    Route("/api/v1/cases/{key}/orders", api.order, methods=["POST"]),
    Route("/api/v1/cases/{key}/signatures", api.signatures),
    Route("/api/v1/cases/{key}/signatures", api.sign, methods=["POST"]),
    Route("/api/v1/cases/{key}/files", api.files),
    Route("/api/v1/cases/{key}/files/{name}", api.file),
    Route("/api/v1/openapi.json", api.openapi_document),
    Mount("/static", VersionedFiles(STATIC)),
)


def site(context: DashboardContext) -> Starlette:
    """The application. Errors are shown without details and logged without patient data."""
    made = Starlette(
        routes=list(ROUTES), exception_handlers={HTTPException: _http, Fault: _fault, Exception: _internal_error}
    )
    made.state.context = context
    made.state.cache = pages.RenderCache(context)
    made.state.templates = environment()
    return made


def _error_response(request: Request, status: HTTPStatus, message: str) -> Response:
    found: RequestInfo = request.scope["mqi"]
    if request.url.path.startswith(API) or found.session is None:
        return refusal(request.url.path, status, message)
    return pages.error_page(request, message, status)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    status = HTTPStatus(error.status_code)
    answer = _error_response(
        request, status, "Page not found." if status == HTTPStatus.NOT_FOUND else f"{status.phrase}."
    )
    answer.headers.update(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """Those of all routes of this path: Starlette names those of the first one."""
    found = [one for one in ROUTES if isinstance(one, Route) and one.matches(request.scope)[0] is not Match.NONE]
    return {method for one in found for method in one.methods or ()}


async def _fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, Fault)  # noqa: S101 - as registered
    return _error_response(request, HTTPStatus.SERVICE_UNAVAILABLE, f"{error.reason} {error.advice}".strip())


async def _internal_error(request: Request, error: Exception) -> Response:
    structlog.get_logger().error(
        "web.internal_error", where=getattr(request.scope.get("endpoint"), "__name__", ""), error=type(error).__name__
    )
    return _error_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error. Report it with the log.")
