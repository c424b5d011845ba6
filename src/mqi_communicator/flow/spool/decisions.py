"""What was decided about a case, recorded in its spool: a store restored from a backup learns it from there.

`orders.json` holds the orders in effect: the last `cancel` or `retry`, the last `hold` or `release`, and the priority.
`ended.json` holds the last judgement that was delivered, `signed.json` the last signature. None is needed while the
store itself is up to date.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mqi_communicator.case.faults import ActionRequired, DiskFull
from mqi_communicator.flow.constancy_due import Due
from mqi_communicator.flow.spool.layout import Spool, write_durably
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import StoreUnavailable
from mqi_communicator.store.orders import Order

_KINDS = {"cancel": "end", "retry": "end", "hold": "stand", "release": "stand", "priority": "priority"}
_KEPT = ("at", "order", "who", "why", "detail")


@dataclass(frozen=True, slots=True)
class Ended:
    """One judgement as it was delivered. `judgement` counts from 1, `results` is the folder's path."""

    judgement: int
    results: str
    word: str
    why: str


def note_order(spool: Spool, case: Case, order: Order, due: Due | None = None) -> None:
    """Record an order that takes effect, durably. StoreUnavailable if the spool cannot be written.

    A case that is cancelled before admission has no spool yet: its origin is recorded too, with `due` of a constancy
    run.
    """
    kind = _KINDS.get(order.order)
    if kind is None:
        return
    held = {_KINDS[one.order]: one for one in orders_of(spool)}
    if order.order == "cancel":  # it ends a hold
        held.pop("stand", None)
    held[kind] = order
    records = [{name: getattr(one, name) for name in _KEPT} for one in sorted(held.values(), key=lambda one: one.at)]
    try:
        if order.order == "cancel" and not spool.origin.exists():
            write_origin(spool.origin, case, due)
        write_durably(spool.orders, json.dumps(records))
    except DiskFull as full:
        raise StoreUnavailable(full.reason, full.advice) from None


def orders_of(spool: Spool) -> list[Order]:
    """The orders in effect, oldest first. ActionRequired if the file is damaged."""
    try:
        records = json.loads(spool.orders.read_text(encoding="ascii"))
        return [
            Order(0, one["at"], spool.root.name, one["order"], one["who"], one["why"], None, "", detail=one["detail"])
            for one in records
            if one["order"] in _KINDS
        ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise _unreadable(spool, "orders.json", "the orders") from None


def note_ended(spool: Spool, ended: Ended) -> None:
    """Record a judgement that was delivered, durably. DiskFull if the spool is."""
    write_durably(spool.ended, json.dumps(asdict(ended)))


def ended_of(spool: Spool) -> Ended | None:
    """The last judgement that was delivered, None if there was none. ActionRequired if the file is damaged."""
    try:
        record = json.loads(spool.ended.read_text(encoding="ascii"))
        return Ended(int(record["judgement"]), str(record["results"]), str(record["word"]), str(record["why"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise _unreadable(spool, "ended.json", "the delivered results") from None


@dataclass(frozen=True, slots=True)
class SignedNote:
    """The last signature of a case. `state` is that of the results in the folder `results`; `at` in epoch seconds."""

    results: str
    state: str
    by: str
    at: float


def note_signed(spool: Spool, note: SignedNote) -> None:
    """Record a signature that was written, durably. DiskFull if the spool is."""
    write_durably(spool.signed, json.dumps(asdict(note)))


def signed_of(spool: Spool) -> SignedNote | None:
    """The last signature, None if there was none. ActionRequired if the file is damaged."""
    try:
        record = json.loads(spool.signed.read_text(encoding="ascii"))
        return SignedNote(str(record["results"]), str(record["state"]), str(record["by"]), float(record["at"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise _unreadable(spool, "signed.json", "the signatures") from None


def _unreadable(spool: Spool, name: str, what: str) -> ActionRequired:
    return ActionRequired(
        f"{spool.root / name} cannot be read: {what} of this case are unknown",
        f"check the disk of paths.workspace; move {name} away if the store was not restored since",
    )
