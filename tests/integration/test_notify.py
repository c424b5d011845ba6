"""Notifications through a real mail server and a real HTTP server: once, grouped, whatever fails meanwhile."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import MISSING, AuthResult

from mqi_communicator.case.faults import ActionRequired, Transient
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.notify.dispatcher import FIRST_S, Dispatcher
from mqi_communicator.notify.mail import Mail
from mqi_communicator.notify.message import Notification, compose
from mqi_communicator.notify.options import MailOptions, NotifyOptions, WebhookOptions
from mqi_communicator.notify.webhook import Webhook
from mqi_communicator.store import cases, notices, work_items
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real
KEYS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
MESSAGE = compose([Notification("failed", KEYS[0], 2, "the engine said no")])


class Hook:
    """An HTTP server that keeps its requests and replies as configured."""

    def __init__(self):
        self.heard, self.status = [], 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heard.append((self.path, json.loads(body)))
                self.send_response(hook.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def port(self):
        return self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.close()


def secret(folder, text, mode=0o600):
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def webhook(tmp_path, hook):
    return Webhook(WebhookOptions(url_file=secret(tmp_path, f"http://127.0.0.1:{hook.port}/in/s3cret?a=b\n")))


def test_a_webhook_gets_one_post_with_text_and_data(hook, webhook):
    webhook.send(MESSAGE)
    ((path, body),) = hook.heard
    assert path == "/in/s3cret?a=b"
    assert body["text"].startswith("MQI: 1 failed")
    assert body["items"] == [{"topic": "failed", "case": KEYS[0], "beam": 2, "why": "the engine said no"}]


@pytest.mark.parametrize(
    ("status", "kind"), [(503, Transient), (429, Transient), (404, ActionRequired), (307, ActionRequired)]
)
def test_an_error_response_is_a_fault_and_a_redirect_is_not_followed(hook, webhook, status, kind):
    hook.status = status
    with pytest.raises(kind, match=str(status)) as reported:
        webhook.send(MESSAGE)
    assert "s3cret" not in reported.value.reason
    assert len(hook.heard) == 1


def test_a_probe_sends_nothing(hook, webhook):
    assert "can be reached" in webhook.probe()
    assert hook.heard == []


def test_an_offline_server_is_transient_and_no_message_shows_the_address(tmp_path, hook):
    away = Webhook(WebhookOptions(url_file=secret(tmp_path, f"https://127.0.0.1:{hook.port}/s3cret"), timeout_s=5))
    with pytest.raises(Transient) as reported:  # it speaks no TLS
        away.send(MESSAGE)
    assert "s3cret" not in reported.value.reason


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("not an address", 0o600, "invalid"),
        ("", 0o600, "empty"),
        ("http://x/", 0o640, "secret can be read by others: its mode is 0640"),
    ],
)
def test_an_invalid_or_readable_secret_is_reported(tmp_path, text, mode, words):
    with pytest.raises(ActionRequired, match=words):
        Webhook(WebhookOptions(url_file=secret(tmp_path, text, mode))).send(MESSAGE)


async def test_a_readable_secret_is_reported_at_the_start(tmp_path):
    """Not when the first message is due, which may be weeks later."""
    heard, file = [], secret(tmp_path, "http://x/", 0o644)
    ways = (Webhook(WebhookOptions(url_file=file)), mail(25, user="u", password_file=file, tls="starttls"))
    dispatcher = Dispatcher(
        NotifyOptions(webhook=ways[0].options), ways, None, lambda: 0.0, lambda *a, **f: heard.append((a, f))
    )
    await dispatcher.check_secrets()
    assert [(name, facts["channel"]) for (name,), facts in heard] == [
        ("notify.failed", "webhook"),
        ("notify.failed", "mail"),
    ]
    assert {(facts["why"], facts["advice"]) for _, facts in heard} == {
        (f"the secret {file} can be read by others: its mode is 0644", f"chmod 600 {file}")
    }


def test_the_address_may_come_from_the_environment(hook, monkeypatch):
    way = Webhook(WebhookOptions(url_env="MQI_HOOK"))
    with pytest.raises(ActionRequired, match="MQI_HOOK is not set"):
        way.send(MESSAGE)
    monkeypatch.setenv("MQI_HOOK", f"http://127.0.0.1:{hook.port}/")
    way.send(MESSAGE)
    assert len(hook.heard) == 1


class Sink:
    """Keeps the mails it takes; refuses recipients whose address begins with `no`. Its other replies can be set."""

    def __init__(self):
        self.taken = []
        self.on_quit, self.closes_after_data = "221 Bye", False
        self.on_login = []  # replies to AUTH, in order; None: it closes the connection

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if address.startswith("no"):
            return "550 no such person"
        if address.startswith("odd"):
            return "no number"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        if self.closes_after_data:
            server.transport.abort()
        return "250 taken"

    async def handle_AUTH(self, server, _session, _envelope, _args):  # noqa: N802 - aiosmtpd's name
        reply = self.on_login.pop(0) if self.on_login else MISSING
        if reply is None:
            server.transport.abort()
        return reply

    async def handle_QUIT(self, _server, _session, _envelope):  # noqa: N802 - aiosmtpd's name
        return self.on_quit


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine that signs itself."""
    crt, key = tmp_path / "crt.pem", tmp_path / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(crt), "-keyout", str(key)]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True)
    return crt, key


def serving(sink, certificate=None, barred=()):
    """A mail server on a free port; with a certificate it wants STARTTLS, and an account. `barred`: mechanisms of AUTH
    that it does not offer."""
    if certificate is None:
        controller = Controller(sink, hostname="127.0.0.1", port=0, server_hostname="localhost")
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        controller = Controller(
            sink, hostname="127.0.0.1", port=0, server_hostname="localhost", tls_context=context,
            require_starttls=True, auth_required=True, authenticator=right, auth_exclude_mechanism=barred,
        )  # fmt: skip

    def call():
        """aiosmtpd proves its start by a call to the port that it was given; here that is the one that it got."""
        controller.port = port_of(controller)
        Controller._trigger_server(controller)

    controller._trigger_server = call
    return controller


def right(_server, _session, _envelope, _mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"mqi", b"pass word"), handled=False)


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def plain(sink):
    controller = serving(sink)
    controller.start()
    yield port_of(controller)
    controller.stop()


@pytest.fixture
def guarded(sink, certificate):
    controller = serving(sink, certificate)
    controller.start()
    yield port_of(controller)
    controller.stop()


def port_of(controller):
    return controller.server.sockets[0].getsockname()[1]


def mail(port, **changed):
    values = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "mqi@example.org",
              "recipients": ("a@example.org", "b@example.org"), "timeout_s": 30}  # fmt: skip
    return Mail(MailOptions(**{**values, **changed}))


def test_a_mail_arrives_with_subject_and_text(sink, plain):
    mail(plain).send(MESSAGE)
    ((sender, recipients, content),) = sink.taken
    assert (sender, recipients) == ("mqi@example.org", ["a@example.org", "b@example.org"])
    assert "Subject: MQI: 1 failed" in content
    assert f"case {KEYS[0]} beam 2: failed: the engine said no" in content
    assert "Auto-Submitted: auto-generated" in content


def test_a_mail_goes_encrypted_with_an_account(sink, guarded, certificate, tmp_path):
    password = secret(tmp_path, "pass word")
    way = mail(guarded, tls="starttls", ca_file=certificate[0], user="mqi", password_file=password)
    assert "accepts mail for 2 recipients" in way.probe()
    assert sink.taken == []
    way.send(MESSAGE)
    assert len(sink.taken) == 1
    password.write_text("wrong")
    with pytest.raises(ActionRequired, match="refuses our account"):
        way.send(MESSAGE)


@pytest.mark.parametrize("reply", ["421 closing", "500 unknown command", "no number"])
def test_the_reply_to_quit_does_not_count(sink, plain, reply):
    sink.on_quit = reply
    assert mail(plain).send(MESSAGE) == ""
    assert len(sink.taken) == 1
    with pytest.raises(ActionRequired, match="refused every recipient"):  # nor does it hide another fault
        mail(plain, recipients=("no@example.org",)).send(MESSAGE)
    assert "accepts mail for 2 recipients" in mail(plain).probe()


def test_a_connection_lost_after_the_message_is_transient_although_it_was_delivered(sink, plain):
    sink.closes_after_data = True
    with pytest.raises(Transient, match="cannot be used"):
        mail(plain).send(MESSAGE)
    assert len(sink.taken) == 1


TEMPORARY, WRONG = "454 4.7.0 Temporary authentication failure", "535 5.7.8 Authentication credentials invalid"


@pytest.mark.parametrize(
    ("replies", "kind", "reason"),
    [
        ([TEMPORARY, TEMPORARY], Transient, "cannot check our account now"),
        ([TEMPORARY, "504 5.5.4 Unrecognized authentication type"], Transient, "cannot check our account now"),
        ([None], Transient, "closed the connection at login"),
        ([WRONG, WRONG], ActionRequired, "refuses our account"),
        ([WRONG, None], ActionRequired, "refuses our account"),
    ],
)
def test_only_a_refused_account_requires_action(sink, guarded, certificate, tmp_path, replies, kind, reason):
    sink.on_login = replies
    password = secret(tmp_path, "pass word")
    with pytest.raises(kind, match=reason):
        mail(guarded, ca_file=certificate[0], tls="starttls", user="mqi", password_file=password).send(MESSAGE)
    assert sink.on_login == sink.taken == []


def test_a_server_without_a_known_login_is_reported(sink, certificate, tmp_path):
    controller = serving(sink, certificate, ("LOGIN", "PLAIN"))
    controller.start()
    password = secret(tmp_path, "pass word")
    way = mail(port_of(controller), ca_file=certificate[0], tls="starttls", user="mqi", password_file=password)
    with pytest.raises(ActionRequired, match="does not offer"):
        way.send(MESSAGE)
    controller.stop()


@pytest.mark.parametrize(("name", "code"), [("no", "550"), ("odd", "-1")])
def test_a_probe_reports_one_recipient_that_send_would_leave_out(sink, plain, name, code):
    with pytest.raises(ActionRequired, match=f"refuses the sender or a recipient \\({code}\\)"):
        mail(plain, recipients=(f"{name}@example.org", "b@example.org")).probe()
    assert sink.taken == []


def test_an_untrusted_certificate_and_a_server_without_tls_are_refused(guarded, plain):
    with pytest.raises(ActionRequired, match="certificate is untrusted"):
        mail(guarded, tls="starttls").send(MESSAGE)
    with pytest.raises(ActionRequired, match="does not offer"):
        mail(plain, tls="starttls").send(MESSAGE)


def test_a_refused_recipient_is_reported(sink, plain):
    refused = mail(plain, recipients=("no@example.org", "b@example.org")).send(MESSAGE)
    assert refused == "the mail server refused 1 of the recipients"
    ((_, recipients, _),) = sink.taken
    assert recipients == ["b@example.org"]
    with pytest.raises(ActionRequired, match="refused every recipient"):
        mail(plain, recipients=("no@example.org",)).send(MESSAGE)
    with pytest.raises(ActionRequired, match="550"):
        mail(plain, recipients=("no@example.org",)).probe()


def test_an_offline_mail_server_is_transient(hook):
    with pytest.raises(Transient, match="cannot be used"):
        mail(hook.port, timeout_s=2).send(MESSAGE)  # it speaks HTTP and waits


CAUSE = "only 88 % of the points agree within 3 %/2 mm"


class Site:
    """A store, a clock that is set by hand, and a dispatcher that was started on them."""

    def __init__(self, folder, channels, **options):
        self.path, self.channels, self.now, self.heard = folder / "store.sqlite3", channels, 1000.0, []
        self.options = NotifyOptions(webhook=WebhookOptions(url_env="X"), **options)
        self.database = open_database(self.path)
        for key in KEYS:
            self.database.write_now(cases.add, cases.Case(key, Path("/in/DOE^JOHN"), 1.0, "f"))
            for beam in (CASE_ITEM, 1, 2):
                self.database.write_now(
                    work_items.add, WorkItem(key, beam, "upload"), self.event("beam.started", key, beam)
                )
        self.start()

    def start(self):
        self.dispatcher = Dispatcher(
            self.options, self.channels, self.database, lambda: self.now, lambda *a, **f: self.heard.append((a, f))
        )

    def event(self, name, key, beam=CASE_ITEM, step="upload", why="", **facts):
        return Event(self.now, key, beam, name, step, why=why, facts=facts)

    def happens(self, name, key, beam=CASE_ITEM, why="", *, needs=False, failed=False, step="upload", **facts):
        """An event, and the line as it leaves it."""
        item = self.database.read_now(work_items.get, key, beam)
        status = Status.FAILED if failed else Status.WAITING
        after = replace(item, status=status, needs_person=needs, step=step, reason=why)
        self.database.write_now(work_items.move, item, after, self.event(name, key, beam, step, why, **facts))


@pytest.fixture
def site(tmp_path, webhook):
    made = Site(tmp_path, [webhook])
    yield made
    made.database.close()


async def test_events_are_sent_once_grouped_and_after_the_interval(site, hook):
    site.happens("step.failed", KEYS[0], 1, "old", failed=True)
    await site.dispatcher.poll()  # what was before is history
    site.happens("step.action_required", KEYS[0], CASE_ITEM, "disk full", needs=True)
    site.happens("step.done", KEYS[1], CASE_ITEM, step="compare", word="fail", cause=CAUSE)
    site.happens("step.done", KEYS[1], 1, step="compare", word="pass")
    await site.dispatcher.poll()
    await site.dispatcher.poll()
    assert [body["counts"] for _, body in hook.heard] == [{"needs_person": 1, "verdict_fail": 1}]
    assert [item["why"] for item in hook.heard[0][1]["items"]] == ["disk full", CAUSE]
    for beam in (1, 2):
        site.happens("step.failed", KEYS[1], beam, "broken", failed=True)
    site.now += 60
    await site.dispatcher.poll()
    assert len(hook.heard) == 1
    site.now += site.options.every_s
    await site.dispatcher.poll()
    assert [body["counts"] for _, body in hook.heard[1:]] == [{"failed": 2}]


async def test_events_that_no_longer_hold_are_not_sent(site, hook):
    await site.dispatcher.poll()
    site.happens("step.action_required", KEYS[0], CASE_ITEM, "disk full", needs=True)
    site.happens("step.retried", KEYS[0], CASE_ITEM, "busy")
    await site.dispatcher.poll()
    assert hook.heard == []


async def test_a_job_of_unknown_state_requires_action(site, hook):
    await site.dispatcher.poll()
    site.happens("step.waiting", KEYS[0], 1, "gpu1 cannot report whether the job has ended", needs=True)
    await site.dispatcher.poll()
    assert [body["counts"] for _, body in hook.heard] == [{"needs_person": 1}]


async def test_a_mail_that_some_recipients_did_not_get_is_sent_to_the_others_once(site, sink, plain):
    channel = mail(plain, recipients=("no@example.org", "b@example.org"))
    site.dispatcher = replace(site.dispatcher, channels=[channel])
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], 1, "broken", failed=True)
    await site.dispatcher.poll()
    site.now += 24 * 3600
    await site.dispatcher.poll()
    assert len(sink.taken) == 1
    assert [name for (name,), _ in site.heard] == ["notify.sent", "notify.incomplete"]


async def test_a_failed_channel_is_retried_and_nothing_is_lost(site, hook):
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], 1, "broken", failed=True)
    hook.status = 500
    await site.dispatcher.poll()
    await site.dispatcher.poll()
    assert len(hook.heard) == 1
    assert [facts["again_in_s"] for (name,), facts in site.heard if name == "notify.failed"] == [FIRST_S]
    hook.status, site.now = 200, site.now + FIRST_S
    site.happens("step.failed", KEYS[0], 2, "broken too", failed=True)
    await site.dispatcher.poll()
    assert hook.heard[-1][1]["counts"] == {"failed": 2}


async def test_a_restart_neither_forgets_nor_repeats(site, hook):
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], 1, "broken", failed=True)
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], 2, "broken too", failed=True)
    site.start()
    await site.dispatcher.poll()
    assert len(hook.heard) == 1  # the window holds over the restart
    site.now += site.options.every_s
    await site.dispatcher.poll()
    assert hook.heard[-1][1]["counts"] == {"failed": 1}
    assert site.database.read_now(notices.get_cursor, "webhook").sent == site.now


async def test_a_failed_channel_delays_no_other(tmp_path, webhook, hook, sink, plain):
    site = Site(tmp_path, [webhook, mail(plain)])
    hook.status = 500
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], 1, "broken", failed=True)
    await site.dispatcher.poll()
    site.database.close()
    assert len(sink.taken) == 1


async def test_no_folder_and_no_file_is_named(site, hook):
    await site.dispatcher.poll()
    site.happens("step.failed", KEYS[0], CASE_ITEM, "DOE^JOHN.dcm is cut", failed=True, code="cut")
    site.happens("step.action_required", KEYS[1], CASE_ITEM, "/in/DOE^JOHN cannot be read", needs=True)
    await site.dispatcher.poll()
    assert hook.heard[0][1]["counts"] == {"failed": 1, "needs_person": 1}
    assert "DOE" not in str(hook.heard)
