"""What wraps every step and every remote call: deadline, faults, breaker. Steps know nothing of it."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from mqi_communicator.case.faults import (
    AbsurdAnswer,
    AtLimit,
    Fault,
    TookTooLong,
    Transient,
    Unreachable,
    local_disk_fault,
)
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.flow.hosts import breaker as circuit
from mqi_communicator.flow.hosts.breaker import Breaker
from mqi_communicator.flow.hosts.call_budget import CallBudget
from mqi_communicator.flow.options import BreakerOptions
from mqi_communicator.remote.host import Host, OnLine
from mqi_communicator.store import breakers
from mqi_communicator.store.database import Database, LostOwnership

T = TypeVar("T")
Emit = Callable[..., None]  # (event name, **facts) for the log; never a patient


class BreakerOpen(Unreachable):
    """Calls to the host are paused after failures; nothing was sent."""

    def __init__(self, reason: str, advice: str, retry_in: float) -> None:
        super().__init__(reason, advice)
        self.retry_in = retry_in


def _outcome_of(fault: Unreachable | AbsurdAnswer) -> str:
    if isinstance(fault, AbsurdAnswer):
        return "absurd"
    return "too_long" if isinstance(fault, TookTooLong) else "unreachable"


async def guarded(work: Awaitable[Outcome], limit: float, emit: Emit) -> Outcome | Fault:
    """The outcome of one try of a step, whatever it raises. Only LostOwnership and cancellation propagate."""
    try:
        async with asyncio.timeout(limit):
            return await work
    except LostOwnership:
        raise
    except Fault as fault:
        return fault
    except TimeoutError:
        return Transient(f"the step took longer than {limit:.0f} s")
    except Exception as error:  # noqa: BLE001 - a bug must not stop the other cases
        if isinstance(error, OSError) and (refused := local_disk_fault(error)):
            return refused
        frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
        emit("step.internal_error", error=type(error).__name__, frames=frames[-6:])
        return Transient(f"internal error: {type(error).__name__}", "report it, with the log")


class GuardedHost:
    """A host behind one breaker per kind of call (commands, bulk), with the interface of any host."""

    def __init__(
        self, host: Host, database: Database, options: BreakerOptions, emit: Emit, budget: CallBudget | None = None
    ) -> None:
        self.name = host.name
        self._host = host
        self._budget = budget
        self._database = database
        self._options = options
        self._emit = emit
        self._in_flight = {"commands": 0, "bulk": 0}  # calls under way
        saved = database.read_now(breakers.load)
        self.breakers = {
            kind: Breaker.from_json(saved[name]) if (name := f"{host.name}:{kind}") in saved else Breaker()
            for kind in ("commands", "bulk")
        }

    @property
    def paused(self) -> bool:
        """Whether calls are paused after failures."""
        return any(breaker.state != "closed" and not breaker.recovering for breaker in self.breakers.values())

    async def request(
        self, call: RemoteRequest, *, deadline: float, on_line: OnLine | None = None, stays_s: float = 0.0
    ) -> RemoteResponse:
        """Host.request. AtLimit where the site's limit of calls is reached. `stays_s`: how long the request is meant
        to wait on the host."""
        work = partial(self._host.request, call, deadline=deadline, on_line=on_line)
        return await self._call("commands", call.verb, work, deadline, stays_s)

    async def send(self, source: Path, root: str, key: str, *, deadline: float) -> None:
        """Host.send."""
        await self._call("bulk", "send", partial(self._host.send, source, root, key, deadline=deadline), deadline)

    async def fetch(
        self, root: str, token: str, target: Path, *, names: tuple[str, ...], largest: int, deadline: float
    ) -> None:
        """Host.fetch."""
        work = partial(self._host.fetch, root, token, target, names=names, largest=largest, deadline=deadline)
        await self._call("bulk", "fetch", work, deadline)

    async def close(self) -> None:
        """Host.close."""
        await self._host.close()

    async def _call(
        self, kind: str, operation: str, call: Callable[[], Awaitable[T]], deadline: float, planned: float = 0.0
    ) -> T:
        """`planned`: how many seconds of the deadline the host is meant to take."""
        state, pause = circuit.admit(self.breakers[kind], time.time(), self._options, self._in_flight[kind])
        if pause > 0:
            raise self._refusal(state, pause)
        if self._budget is not None and kind == "commands":
            self._budget.spend()
        await self._save(kind, state)
        began = time.monotonic()
        emit_call = partial(self._emit_call, operation, began)
        self._in_flight[kind] += 1
        try:
            answer = await call()
        except (Unreachable, AbsurdAnswer) as fault:
            emit_call(_outcome_of(fault), why=fault.reason)
            await self._save(kind, circuit.failed(self.breakers[kind], time.time(), fault.reason, self._options))
            raise
        except Fault as fault:
            emit_call("refused", why=fault.reason)
            await self._save(
                kind, circuit.succeeded(self.breakers[kind], time.time(), self._options)
            )  # the host did answer
            raise
        finally:
            self._in_flight[kind] -= 1
        share = max(0.0, time.monotonic() - began - planned) / max(deadline - planned, 1.0)
        emit_call("done")
        await self._save(kind, circuit.succeeded(self.breakers[kind], time.time(), self._options, share))
        return answer

    def _emit_call(self, operation: str, began: float, outcome: str, **facts: str) -> None:
        took = round(time.monotonic() - began, 3)
        self._emit("remote.call", host=self.name, operation=operation, outcome=outcome, took_s=took, **facts)

    def _refusal(self, state: Breaker, pause: float) -> Fault:
        """Why a call is not sent now. A recovering host limits its calls: no try is counted."""
        chance = random.random()  # noqa: S311 - jitter
        if state.recovering:
            why = f"{self.name} answers again ({state.why}); at most {2**state.answered} calls at once for now"
            return AtLimit(why, retry_in=pause * (0.2 + chance))
        why = f"{self.name} does not answer ({state.why}); calls to it are paused and retried"  # the same at each try
        return BreakerOpen(why, "", pause * (1 + 0.2 * chance))

    async def _save(self, kind: str, state: Breaker) -> None:
        before = self.breakers[kind]
        self.breakers[kind] = state
        if (before.state, before.probe_at, before.answered) != (state.state, state.probe_at, state.answered):
            await self._database.write(breakers.save, f"{self.name}:{kind}", state.to_json())
            if before.state != state.state:
                self._emit(
                    "breaker.state_changed",
                    host=self.name,
                    kind=kind,
                    before=before.state,
                    after=state.state,
                    why=state.why,
                )
