"""A report as one self-contained HTML file."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING

from mqi_communicator.case.visible import visible_text
from mqi_communicator.report.page import Page, Picture

if TYPE_CHECKING:
    from jinja2 import Template


def html(page: Page) -> bytes:
    """The report in UTF-8. Texts are escaped, pictures are embedded, and a CSP forbids loading anything."""
    text: str = _template().render(page=page)
    return text.encode()


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mqi_communicator.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["source"] = _source
    return environment.get_template("report.html.j2")


def _source(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
