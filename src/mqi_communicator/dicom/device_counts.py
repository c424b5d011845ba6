"""Limits the devices of a beam that are set per control point: a plan may count two thousand million of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mqi_communicator.dicom.collector import Collector, tagged, text

if TYPE_CHECKING:
    from pydicom import Dataset

MOST = 100
"""Devices of one kind in a beam: machines have fewer than ten."""

_CODES = {"RangeShifter": "beam.range_shifter", "LateralSpreadingDevice": "beam.spreader"}


def has_possible_counts(item: Dataset, points: Sequence[Dataset], collector: Collector) -> bool:
    """Whether a beam lists, counts and sets at most `MOST` range shifters and lateral spreading devices; a problem for
    each kind of which it has more."""
    counts = {prefix: _count(item, points, prefix) for prefix in _CODES}
    for prefix, (tag, count) in counts.items():
        if count > MOST:
            collector.add(_CODES[prefix], f"{count}", tag=tag, expected=f"at most {MOST}")
    return all(count <= MOST for _, count in counts.values())


def _count(item: Dataset, points: Sequence[Dataset], prefix: str) -> tuple[str, int]:
    """The element that has the most of these devices, for messages, and how many."""
    settings, reference = f"{prefix}SettingsSequence", f"Referenced{prefix}Number"
    used = {text(one, reference) for point in points for one in point.get(settings) or ()}
    found = (
        (tagged(f"NumberOf{prefix}s"), int(item.get(f"NumberOf{prefix}s") or 0)),
        (f"the number of items of {tagged(f'{prefix}Sequence')}", len(item.get(f"{prefix}Sequence") or ())),
        (f"the number of devices in {tagged(settings)}", len(used)),
    )
    return max(found, key=lambda one: one[1])
