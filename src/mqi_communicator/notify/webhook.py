"""The webhook: one POST of JSON. Its address may be a secret and appears in no message."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from mqi_communicator.case.faults import ActionRequired, Transient
from mqi_communicator.notify import secrets
from mqi_communicator.notify.message import Message
from mqi_communicator.notify.options import WebhookOptions

_TOO_MANY, _SERVER = 429, 500


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address; its methods are called from a thread."""

    options: WebhookOptions
    name: str = "webhook"  # key of its cursor in the store: another name loses what is not sent yet

    def send(self, message: Message) -> str:
        """Return "" when the server has replied 2xx.

        Raises Transient, or ActionRequired where a person must act first. It was then usually not delivered; after a
        lost connection, or a reply later than `timeout_s`, it may have been, and a retry sends it again."""
        body = json.dumps(message.data).encode()
        with _Open(self._url(), self.options.timeout_s) as (connection, target):
            connection.request("POST", target, body, {"Content-Type": "application/json", "User-Agent": "mqi"})
            response = connection.getresponse()
            response.read(65536)
        if not 200 <= response.status < 300:  # noqa: PLR2004 - success; a redirect is not followed with a secret
            kind = Transient if response.status == _TOO_MANY or response.status >= _SERVER else ActionRequired
            raise kind(
                f"the webhook replied {response.status} {response.reason}", "check the address behind notify.webhook"
            )
        return ""

    def probe(self) -> str:
        """Test that a connection can be made, without sending anything.

        Raises the faults of `send` save those for the server's reply, which is not asked for."""
        with _Open(self._url(), self.options.timeout_s) as (connection, _):
            connection.connect()
        return "the webhook's server can be reached"

    def check_secret(self) -> None:
        """ActionRequired if the address cannot be read, or others can read its file."""
        self._url()

    def _url(self) -> str:
        if self.options.url_file is not None:
            return secrets.from_file(self.options.url_file)
        return secrets.from_environment(self.options.url_env or "")


class _Open:
    """A connection to a URL, closed at the end; errors become faults that do not quote the URL."""

    def __init__(self, url: str, timeout_s: float) -> None:
        advice = "the secret must be a complete address: https://..."
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ActionRequired("the webhook's address is invalid", advice) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ActionRequired("the webhook's address is invalid", advice)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=timeout_s)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def __enter__(self) -> tuple[http.client.HTTPConnection, str]:
        return self._connection, self._target

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._connection.close()
        match error:
            case ssl.SSLCertVerificationError():
                raise ActionRequired(
                    "the webhook's certificate is not trusted", "install its certificate authority on this machine"
                ) from None
            case TimeoutError():
                raise Transient("the webhook timed out") from None
            case socket.gaierror():
                raise Transient("the webhook's host name cannot be resolved") from None
            case OSError() | http.client.HTTPException():
                raise Transient(f"the webhook cannot be reached ({type(error).__name__})") from None
