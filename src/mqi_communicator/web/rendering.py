"""Renders the templates."""

from __future__ import annotations

import time
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mqi_communicator.case.visible import visible_text
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import FILTERS, number
from mqi_communicator.web.guard import request_info
from mqi_communicator.web.static_files import version

HERE = files("mqi_communicator.web")
STATIC = Path(str(HERE / "static"))


def environment() -> Environment:
    """The template environment. Values are escaped, control characters are made visible, unknown names are errors."""
    made = Environment(
        loader=FileSystemLoader(str(HERE / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    made.globals |= {
        "number": number,
        "static": f"/static/{version(STATIC)}",
    }
    return made


def page(request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **facts: Any) -> Response:
    """A rendered page with the variables that all pages need."""
    context: DashboardContext = request.app.state.context
    who = request_info(request)
    text = request.app.state.templates.get_template(template).render(
        now=time.time(),
        running=context.queries.running(),
        user=who.session.user if who.session else None,
        csrf=who.session.csrf if who.session else "",
        at_proxy=who.at_proxy,
        path=request.url.path,
        version=context.versions["MQI Communicator"],
        shown=context.policy.shown,
        presence=context.presence,
        **facts,
    )
    return HTMLResponse(text, status)
