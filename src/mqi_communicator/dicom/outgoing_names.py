"""Names in the DICOM files that are sent to an engine. Loads nothing heavy."""

from __future__ import annotations


def beam_name(number: int) -> str:
    """Return the name of a beam in the plan that is sent."""
    return f"beam_{number}"
