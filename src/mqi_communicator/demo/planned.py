"""The packaged planned dose of the samples: one small file per size, made by `demo.remake`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.truth import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 10_000  # a beam's maximum is this many steps; far finer than its statistical uncertainty


def pack(beams: Mapping[int, NDArray[np.float64]], notes: Mapping[str, object]) -> bytes:
    """Course dose (Gy) per beam number as scaled uint16 in a compressed archive, with notes on its making."""
    held = BytesIO()
    arrays: dict[str, NDArray[np.uint16] | NDArray[np.float64]] = {}
    for number, gy in beams.items():
        step = float(gy.max()) / STEPS
        arrays[f"beam{number}"] = np.round(gy / step).astype(np.uint16)
        arrays[f"step{number}"] = np.array([step])
    notes_json = np.frombuffer(json.dumps(notes, indent=1).encode(), dtype=np.uint8)
    np.savez_compressed(held, notes=notes_json, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def planned_dose(size: Size) -> dict[int, NDArray[np.float64]]:
    """Course dose in Gy per beam number on the dose grid [z, y, x]: physical, to medium, zero outside the body."""
    with np.load(BytesIO(_packed(size)), allow_pickle=False) as held:
        return {f.number: held[f"beam{f.number}"] * float(held[f"step{f.number}"][0]) for f in size.fields}


def notes(size: Size) -> dict[str, object]:
    """How the planned dose was made: seeds, histories, uncertainty, the engine's inputs and the truth's digest."""
    with np.load(BytesIO(_packed(size)), allow_pickle=False) as held:
        found: dict[str, object] = json.loads(held["notes"].tobytes())
    return found


def _packed(size: Size) -> bytes:
    return (resources.files("mqi_communicator.demo") / "data" / f"{size.data}.npz").read_bytes()
