"""Reads what happened from the store and tells it: grouped, not too often, again after a failure, not twice."""

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

LOOK_S = 10.0
FIRST_S, CAP_S = 30.0, 3600.0  # pauses after failures: doubled, up to an hour
_VERDICTS = {"fail": "verdict_fail", "review": "verdict_review"}
Emit = Callable[..., None]


class Channel(Protocol):
    """One way to people. Both functions block, and are called from threads."""

    @property
    def name(self) -> str:
        """What it is called in the store and in messages."""
        ...

    def send(self, message: Message) -> None:
        """Returns when it was taken; else Transient or ActionRequired."""
        ...

    def probe(self) -> str:
        """What was proved without telling anybody anything; else a fault."""
        ...


def ways(options: NotifyOptions) -> list[Channel]:
    """The ways that are configured."""
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
    """Tells people through each way on its own: one that is down holds up no other."""

    options: NotifyOptions
    ways: Sequence[Channel]
    database: Database
    clock: Callable[[], float]
    emit: Emit
    _states: dict[str, _State] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever. Nothing that goes wrong here ends it, or reaches a case."""
        while True:
            try:
                await self.look()
            except Fault as fault:
                self.emit("notify.deferred", why=fault.reason)
            except Exception as error:  # noqa: BLE001 - a mistake of ours here must not end the communicator
                self.emit("notify.internal_error", error=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Tell what is new, on every way whose time has come."""
        await asyncio.gather(*(self._tell(way) for way in self.ways))

    async def _tell(self, way: Channel) -> None:
        now, state = self.clock(), self._states.setdefault(way.name, _State())
        mark = await self.database.read(notices.mark, way.name)
        if mark is None:  # what happened before notifications were configured is history
            last = await self.database.read(notices.last_event)
            await self.database.write(notices.save, notices.Cursor(way.name, last, 0.0))
            return
        if now < max(state.not_before, mark.sent + self.options.every_s):
            return
        upto, happened = await self.database.read(notices.happened, mark.told)
        news = _news(happened, self.options)
        if not news:
            if upto > mark.told:
                await self.database.write(notices.save, notices.Cursor(way.name, upto, mark.sent))
            return
        try:
            await asyncio.to_thread(way.send, compose(news))
        except Fault as fault:
            state.fails += 1
            pause = min(CAP_S, FIRST_S * 2.0 ** min(state.fails - 1, 20))
            state.not_before = now + pause
            self.emit("notify.failed", channel=way.name, why=fault.reason, advice=fault.advice, again_in_s=pause)
            return
        state.fails = 0
        await self.database.write(notices.save, notices.Cursor(way.name, upto, now))
        self.emit("notify.sent", channel=way.name, items=len(news))


def _news(happened: Sequence[notices.StoreEvent], options: NotifyOptions) -> list[Notification]:
    """What is worth telling, the last word about each case and beam on each topic."""
    found: dict[tuple[str, str, int], Notification] = {}
    for one in happened:
        topic, event = _topic(one), one.event
        if topic in options.about:
            key = (topic, event.case, event.beam)
            found.pop(key, None)
            why = _sample(event) if topic.startswith("verdict") else event.why
            found[key] = Notification(topic, event.case, event.beam, why, quotes=bool(event.facts.get("code")))
    return list(found.values())


def _sample(event: Event) -> str:
    """That a verdict is about a constancy sample, and which."""
    name = event.facts.get("constancy", "")
    return f"constancy check {name}" if name else ""


def _topic(one: notices.StoreEvent) -> str:
    event: Event = one.event
    if event.event == "step.failed":
        return "failed" if one.still else ""
    if event.event == "step.done":
        return _VERDICTS.get(str(event.facts.get("word", "")), "")
    return "needs_person" if one.still else ""
