"""Directions of a beam in the patient (IEC 61217 and the DICOM patient system). Pure."""

from __future__ import annotations

from math import cos, radians, sin
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.records import Beam

if TYPE_CHECKING:
    from numpy.typing import NDArray


def direction(beam: Beam) -> tuple[float, float, float]:
    """Unit vector (x, y, z) along which the protons travel.

    Head first supine, they travel at gantry 0 from anterior to posterior (+y), at gantry 90 from the patient's left to
    right (-x). KeyError for a beam without a patient position.
    """
    gantry, couch = radians(beam.gantry_angle), radians(beam.couch_angle)
    in_room = (-cos(couch) * sin(gantry), cos(gantry), sin(couch) * sin(gantry))
    return POSITIONS[beam.position].inverse.point(in_room)


def across(axis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors that are perpendicular to `axis` and to each other."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)
