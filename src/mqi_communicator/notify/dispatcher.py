"""Polls the store for events and sends notifications: grouped, rate-limited, retried after a failure.

A channel gets each notification once. Exceptions: it gets one again if the connection is lost before its reply, and if
the communicator is killed, or the store cannot be written, between that reply and the note in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import Event
from mqi_communicator.notify.mail import Mail
from mqi_communicator.notify.message import Message, Notification, compose
from mqi_communicator.notify.options import NotifyOptions
from mqi_communicator.notify.webhook import Webhook
from mqi_communicator.store import notices
from mqi_communicator.store.database import Database

POLL_S = 10.0
FIRST_S, CAP_S = 30.0, 3600.0  # pauses after failures: doubled, up to an hour
_VERDICTS = {"fail": "verdict_fail", "review": "verdict_review"}
Emit = Callable[..., None]


class Channel(Protocol):
    """A channel for notifications. Its methods block, and are called from threads."""

    @property
    def name(self) -> str:
        """Its name in the store and in messages."""
        ...

    def send(self, message: Message) -> str:
        """Return when the message was accepted, with the reason if some recipients were refused; "" if none were.

        Raises Transient or ActionRequired; after a lost connection it may have been accepted all the same."""
        ...

    def check_secret(self) -> None:
        """ActionRequired if its secret is missing or not private."""
        ...

    def probe(self) -> str:
        """Test the channel without sending anything and return what was tested; raises Transient or ActionRequired."""
        ...


def channels(options: NotifyOptions) -> list[Channel]:
    """The configured channels."""
    found: list[Channel] = []
    if options.webhook is not None:
        found.append(Webhook(options.webhook))
    if options.mail is not None:
        found.append(Mail(options.mail))
    return found


@dataclass(slots=True)
class _State:
    fails: int = 0
    not_before: float = 0.0  # epoch seconds


@dataclass(slots=True)
class Dispatcher:
    """Sends notifications on each channel independently: one that is down delays no other."""

    options: NotifyOptions
    channels: Sequence[Channel]
    database: Database
    clock: Callable[[], float]
    emit: Emit
    _states: dict[str, _State] = field(default_factory=dict)

    async def run(self) -> None:
        """Poll for ever. No error in here ends it, or affects a case."""
        await self.check_secrets()
        while True:
            try:
                await self.poll()
            except Fault as fault:
                self.emit("notify.deferred", why=fault.reason)
            except Exception as error:  # noqa: BLE001 - an internal error in here must not end the communicator
                self.emit("notify.internal_error", error=type(error).__name__)
            await asyncio.sleep(POLL_S)

    async def check_secrets(self) -> None:
        """Report at the start which secret cannot be used, not when the first message is due."""
        for channel in self.channels:
            try:
                await asyncio.to_thread(channel.check_secret)
            except Fault as fault:
                self.emit(
                    "notify.failed", channel=channel.name, why=fault.reason, advice=fault.advice, again_in_s=POLL_S
                )

    async def poll(self) -> None:
        """Send what is new, on every channel that is due."""
        await asyncio.gather(*(self._notify(channel) for channel in self.channels))

    async def _notify(self, channel: Channel) -> None:
        now, state = self.clock(), self._states.setdefault(channel.name, _State())
        cursor = await self.database.read(notices.get_cursor, channel.name)
        if cursor is None:  # events from before notifications were configured are skipped
            last = await self.database.read(notices.last_event)
            await self.database.write(notices.save_cursor, notices.Cursor(channel.name, last, 0.0))
            return
        if now < max(state.not_before, cursor.sent + self.options.every_s):
            return
        last, happened = await self.database.read(notices.events_after, cursor.event)
        pending = _pending(happened, self.options)
        if not pending:
            if last > cursor.event:
                await self.database.write(notices.save_cursor, notices.Cursor(channel.name, last, cursor.sent))
            return
        try:
            incomplete = await asyncio.to_thread(channel.send, compose(pending))
        except Fault as fault:
            state.fails += 1
            pause = min(CAP_S, FIRST_S * 2.0 ** min(state.fails - 1, 20))
            state.not_before = now + pause
            self.emit("notify.failed", channel=channel.name, why=fault.reason, advice=fault.advice, again_in_s=pause)
            return
        state.fails = 0
        await self.database.write(notices.save_cursor, notices.Cursor(channel.name, last, now))
        self.emit("notify.sent", channel=channel.name, items=len(pending))
        if incomplete:  # sending it again would send it twice to the others
            self.emit("notify.incomplete", channel=channel.name, why=incomplete)


def _pending(happened: Sequence[notices.StoreEvent], options: NotifyOptions) -> list[Notification]:
    """What to send: the latest event of each case and beam on each topic."""
    found: dict[tuple[str, str, int], Notification] = {}
    for one in happened:
        topic, event = _topic(one), one.event
        if topic in options.about:
            key = (topic, event.case, event.beam)
            found.pop(key, None)
            why = _verdict(event) if topic.startswith("verdict") else event.why
            found[key] = Notification(topic, event.case, event.beam, why, quotes=bool(event.facts.get("code")))
    return list(found.values())


def _verdict(event: Event) -> str:
    """The cause of a verdict, and which constancy sample it is about, if it is about one."""
    name = event.facts.get("constancy", "")
    return ": ".join(filter(None, (f"constancy check {name}" if name else "", str(event.facts.get("cause", "")))))


def _topic(one: notices.StoreEvent) -> str:
    event: Event = one.event
    if event.event == "step.failed":
        return "failed" if one.holds else ""
    if event.event == "step.done":
        return _VERDICTS.get(str(event.facts.get("word", "")), "")
    return "needs_person" if one.holds else ""
