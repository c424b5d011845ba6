"""Log in at a mail server (SMTP AUTH, RFC 4954), and tell a refused account from a server that cannot check it now."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Any

from mqi_communicator.case.faults import ActionRequired, Transient

PERMANENT_CODE = 500  # the first reply code after which the same command would fail again (RFC 5321, 4.2.1)
_RENEW = "renew notify.mail.password_file"


def log_in(session: smtplib.SMTP, user: str, password: str) -> None:
    """Log in with the first mechanism that succeeds: some servers offer one that they do not support.

    ActionRequired if every reply was permanent, even if the server then closed the connection; Transient if one was
    not, or if the connection was lost before any. SMTPNotSupportedError if the server offers no known mechanism."""
    session.ehlo_or_helo_if_needed()
    session.user, session.password = user, password
    offered = session.esmtp_features.get("auth", "").split()
    known: Mapping[str, Any] = {
        "CRAM-MD5": session.auth_cram_md5,
        "PLAIN": session.auth_plain,
        "LOGIN": session.auth_login,
    }
    codes: list[int] = []
    for mechanism in (name for name in known if name in offered):
        try:
            session.auth(mechanism, known[mechanism])
        except smtplib.SMTPAuthenticationError as error:
            codes.append(error.smtp_code)
        except smtplib.SMTPServerDisconnected:
            if codes:
                break
            raise Transient("the mail server closed the connection at login", f"if it is repeated: {_RENEW}") from None
        else:
            return
    if not codes:
        raise smtplib.SMTPNotSupportedError("no known mechanism of AUTH")
    if all(code >= PERMANENT_CODE for code in codes):
        raise ActionRequired(f"the mail server refuses our account ({codes[-1]})", _RENEW)
    raise Transient(f"the mail server cannot check our account now ({codes[-1]})")
