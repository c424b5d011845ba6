"""Where a request comes from."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from mqi_communicator.web.options import is_loopback


def client_address(request: Request, header: str | None) -> str:
    """The address that a request comes from, "" if it is unknown.

    A reverse proxy on this machine appends the address that it saw to `header`, so the last entry counts; those
    before it are claimed by the client. On connections from other machines the header is ignored.
    """
    peer = request.client.host if request.client else ""
    if header is None or not is_loopback(peer):
        return peer
    last = ",".join(request.headers.getlist(header)).rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return peer
