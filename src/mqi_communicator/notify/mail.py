"""Mail through the site's server (SMTP, RFC 5321)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from mqi_communicator.case.faults import ActionRequired, Transient
from mqi_communicator.notify import secrets
from mqi_communicator.notify.message import Message
from mqi_communicator.notify.options import MailOptions
from mqi_communicator.notify.smtp_login import PERMANENT_CODE, log_in

_ACCEPTED = (250, 251)  # replies to MAIL and RCPT, as smtplib takes them


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail server; its methods are called from a thread."""

    options: MailOptions
    name: str = "mail"  # key of its cursor in the store: another name loses what is not sent yet

    def send(self, message: Message) -> str:
        """Return when the server has accepted it for at least one recipient; the text says how many were refused.

        Raises Transient or ActionRequired. It was then usually not delivered; after a lost connection, or a reply later
        than `timeout_s`, it may have been, and a retry sends it again."""
        with self._session() as session:
            try:
                refused = session.send_message(self._email(message))
            except smtplib.SMTPRecipientsRefused as error:
                permanent = all(code >= PERMANENT_CODE for code, _text in error.recipients.values())
                kind = ActionRequired if permanent else Transient
                raise kind("the mail server refused every recipient", "check notify.mail.recipients") from None
        return f"the mail server refused {len(refused)} of the recipients" if refused else ""

    def probe(self) -> str:
        """Test account, sender and recipients without sending anything.

        ActionRequired if the sender or any recipient is refused, even for the moment: stricter than `send`, which
        leaves out refused recipients while one is accepted, and raises Transient if the sender or all recipients are
        refused for the moment. Otherwise the faults of `send`; what the server says of the message itself is not
        tested."""
        with self._session() as session:
            session.ehlo_or_helo_if_needed()
            replies = [session.mail(self.options.sender), *(session.rcpt(to) for to in self.options.recipients)]
            session.rset()
        for code, _text in replies:
            if code not in _ACCEPTED:
                raise ActionRequired(f"the mail server refuses the sender or a recipient ({code})", "check notify.mail")
        return f"the mail server {self.options.host} accepts mail for {len(self.options.recipients)} recipients"

    def check_secret(self) -> None:
        """ActionRequired if the password cannot be read, or others can read its file."""
        self._password()

    def _password(self) -> str:
        file = self.options.password_file
        return secrets.from_file(file) if file is not None else ""

    def _email(self, message: Message) -> EmailMessage:
        email = EmailMessage()
        email["Subject"] = message.subject
        email["From"] = self.options.sender
        email["To"] = ", ".join(self.options.recipients)
        email["Date"] = formatdate()
        email["Message-ID"] = make_msgid(domain=self.options.sender.partition("@")[2])
        email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply is sent to it
        email.set_content(message.text)
        return email

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        options = self.options
        password = self._password()
        try:
            context = ssl.create_default_context(cafile=options.ca_file)
            with self._connected(context) as session:
                if options.tls == "starttls":
                    session.starttls(context=context)
                if password:
                    log_in(session, options.user, password)
                yield session
        except ssl.SSLCertVerificationError:
            raise ActionRequired("the mail server's certificate is untrusted", "check notify.mail.ca_file") from None
        except smtplib.SMTPNotSupportedError:
            raise ActionRequired(
                "the mail server does not offer what notify.mail requires", "check notify.mail.tls"
            ) from None
        except smtplib.SMTPResponseException as error:
            kind = ActionRequired if error.smtp_code >= PERMANENT_CODE else Transient
            raise kind(f"the mail server replied {error.smtp_code}", "check notify.mail") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Transient(f"the mail server {options.host} cannot be used ({type(error).__name__})") from None

    @contextmanager
    def _connected(self, context: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
        """A connection, closed at the end whatever the reply to QUIT: what was accepted before stays accepted."""
        session = self._connect(context)
        try:
            yield session
        finally:
            with suppress(OSError, smtplib.SMTPException):
                session.quit()
            session.close()

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        options = self.options
        if options.tls == "tls":
            return smtplib.SMTP_SSL(options.host, options.port, timeout=options.timeout_s, context=context)
        return smtplib.SMTP(options.host, options.port, timeout=options.timeout_s)
