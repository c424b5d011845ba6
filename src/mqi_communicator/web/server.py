"""The dashboard's sockets: one for browsers, and optionally one for a reverse proxy."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from pathlib import Path

import structlog

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import Guard
from mqi_communicator.web.http_server import HttpServer
from mqi_communicator.web.options import ProxyOptions, WebOptions
from mqi_communicator.web.private import check_key
from mqi_communicator.web.site import site


class Dashboard:
    """The running dashboard. Created by `serve`."""

    def __init__(self, context: DashboardContext) -> None:
        self.context = context
        self._site = site(context)
        self._servers: list[HttpServer] = []

    @property
    def address(self) -> str:
        """The URL for a browser on this machine."""
        options = self.context.options
        host = f"[{options.host}]" if ":" in options.host else options.host
        name = options.names[0] if options.names and options.tls else host
        return f"{'https' if options.tls else 'http'}://{name}:{self.context.port}/"

    def open(self) -> None:
        """Start listening. ActionRequired when an address, a certificate, its key or the users file cannot be used."""
        options = self.context.options
        self.context.users.users()
        if options.key is not None:
            check_key(options.key)
        tls = None if options.certificate is None else _tls(options.certificate, options.key)
        listening = _tcp(options)
        self.context.port = int(listening.getsockname()[1])
        self._serve(listening, tls, at_proxy=False)
        if options.proxy is not None:
            self._serve(_unix(options.proxy), None, at_proxy=True)

    def _serve(self, listening: socket.socket, tls: ssl.SSLContext | None, *, at_proxy: bool) -> None:
        self._servers.append(HttpServer(Guard(self._site, self.context, at_proxy=at_proxy), listening, tls))

    async def close(self) -> None:
        """Close all connections and sockets."""
        self.context.closing.set()
        self.context.updates.notify()
        await self._site.state.cache.check_run.close()
        for server in self._servers:
            await server.close()
        if self.context.options.proxy is not None:
            self.context.options.proxy.socket.unlink(missing_ok=True)
        self.context.database.close()


def serve(context: DashboardContext) -> Dashboard:
    """Serve the dashboard until `close`. ActionRequired when it cannot be served."""
    made = Dashboard(context)
    made.open()
    structlog.get_logger().info("web.started", address=made.address)
    return made


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        message = getattr(error, "strerror", None) or type(error).__name__
        raise ActionRequired(
            f"the dashboard's certificate or key cannot be used: {message}", "correct web.certificate and web.key"
        ) from None
    return made


def _tcp(options: WebOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ActionRequired(
            f"the dashboard cannot be served on {options.host} port {options.port}: {error.strerror}",
            "set web.host and web.port to an address of this machine that is free",
        ) from None
    return listening


def _unix(options: ProxyOptions) -> socket.socket:
    """The proxy's socket. Whoever can open it can claim any user name, so its folder must be closed to others."""
    path: Path = options.socket
    advice = "correct web.proxy.socket: a folder of this account and the proxy's group, mode 0750"
    try:
        folder = path.parent.stat()
        if folder.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
            raise ActionRequired(f"{path.parent} is accessible to others, who could claim any user name", advice)
        if path.is_socket():
            path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(os.fspath(path))
        path.chmod(0o660)
        os.chown(path, -1, folder.st_gid)
    except OSError as error:
        raise ActionRequired(
            f"the proxy's socket {path} cannot be created: {error.strerror or error}", advice
        ) from None
    return listening
