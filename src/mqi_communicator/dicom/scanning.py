"""How the weights of a beam's control points are to be read, by its scan mode (PS3.3 C.8.8.25.8)."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.dicom.records import Delivery, LayerKind

LINE = "LINE"  # of Sumitomo: its spots are in private elements, or in the standard ones
_SPOT_MODES = frozenset({"MODULATED", "MODULATED_SPEC"})


@dataclass(frozen=True, slots=True)
class Scanning:
    """How weights are delivered, and where they are."""

    kind: LayerKind
    private: bool  # spots may be in the private elements of line scanning (`line_block`)


def scanning_of(delivery: Delivery) -> Scanning | None:
    """Return how to read the weights; None for modes without spots, and for spots that are not read."""
    if delivery.scan_mode == LINE:
        return Scanning(LayerKind.LINES, private=True)
    if delivery.scan_mode not in _SPOT_MODES or delivery.private_spots:
        return None
    linear = delivery.scan_mode == "MODULATED_SPEC" and delivery.scan_type == "LINEAR"
    return Scanning(LayerKind.LINES if linear else LayerKind.SPOTS, private=False)
