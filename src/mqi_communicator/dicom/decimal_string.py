"""Decimal strings of DICOM."""

from __future__ import annotations

from pydicom.valuerep import format_number_as_ds

_LONGEST = 16  # characters of a DS


def decimal(value: float) -> str:
    """Format a number as a decimal string of at most 16 characters, as precise as possible (PS3.5 6.2, DS)."""
    text = str(format_number_as_ds(float(value)))
    if len(text) > _LONGEST:  # rounded up to one digit more: 9.999999999999998 became 10.00000000000000
        text = str(float(text))
    return text
