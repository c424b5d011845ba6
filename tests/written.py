"""DICOM images of a made-up patient, written pixel by pixel from the place of each (PS3.3 C.7.6.2.1.1).

Nothing here shares code with the readers: where a pixel is follows from ImagePositionPatient, ImageOrientationPatient
and PixelSpacing by equation C.7.6.2.1-1, and its value from the patient's voxel at that place.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass

import numpy as np
import pydicom

from mqi_communicator.demo.sample import sample_files

FILES = sample_files("pass", "tiny")


def orientations():
    """Every ImageOrientationPatient along the axes: 6 directions of the rows, 4 of the columns for each."""
    units = [tuple(sign * float(i == axis) for i in range(3)) for axis in range(3) for sign in (1, -1)]
    return [[*row, *column] for row, column in itertools.product(units, units) if not np.any(np.multiply(row, column))]


@dataclass(frozen=True)
class Patient:
    """Values [z, y, x] of a patient, each different from all others, on a grid of the patient system."""

    values: np.ndarray
    low: tuple[float, float, float]  # x, y, z of the first voxel, mm
    step: tuple[float, float, float]  # mm

    def at(self, points):
        """The values at the centres of voxels."""
        index = (np.asarray(points) - self.low) / self.step
        assert np.allclose(index, np.rint(index), atol=1e-6), "not the centre of a voxel"
        x, y, z = np.rint(index).astype(int).reshape(-1, 3).T
        return self.values[z, y, x].reshape(index.shape[:-1])

    def corners(self):
        """The lowest and the highest voxel centre."""
        last = np.multiply(self.step, np.subtract(self.values.shape[::-1], 1))
        return np.asarray(self.low), np.asarray(self.low) + last


def stack_of(patient, orientation):
    """First pixel of each frame (frames, 3) ascending along the normal, pixels [frame, row, column], PixelSpacing."""
    row, column = np.reshape(orientation, (2, 3))
    normal = np.cross(row, column)
    low, high = patient.corners()
    directions = (row, column, normal)
    size = [round(float(abs(d) @ patient.values.shape[::-1])) for d in directions]
    across, down, apart = (float(abs(d) @ patient.step) for d in directions)
    start = np.where(row + column + normal > 0, low, high)
    firsts = start + apart * np.arange(size[2])[:, None] * normal
    places = (
        firsts[:, None, None]
        + down * np.arange(size[1])[:, None, None] * column
        + across * np.arange(size[0])[:, None] * row
    )
    return firsts, patient.at(places), [down, across]


def load(name):
    """An object of the sample."""
    return pydicom.dcmread(io.BytesIO(FILES[name]))


def write_ct(patient, orientation, folder, **changes):
    """Write the patient's CT, its files in no order of their positions, and return their paths."""
    folder.mkdir(exist_ok=True)
    firsts, pixels, spacing = stack_of(patient, orientation)
    paths = []
    for index, (first, plane) in enumerate(zip(firsts, pixels, strict=True)):
        ds = load("CT.0001.dcm")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.{index + 1}"
        ds.ImageOrientationPatient, ds.PixelSpacing = list(orientation), spacing
        ds.ImagePositionPatient = [float(value) for value in first]
        ds.Rows, ds.Columns = plane.shape
        ds.PixelData = plane.astype("<i2").tobytes()
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        paths.append(folder / f"CT.{(index * 7) % len(firsts):04d}.{index}.dcm")
        ds.save_as(paths[-1])
    return sorted(paths)


def write_dose(patient, orientation, path, *, falling=False, template="RD.plan.dcm"):
    """Write the patient's values as a dose of integer steps of 1 mGy; offsets are relative to the first frame."""
    ds = load(template)
    firsts, pixels, spacing = stack_of(patient, orientation)
    if falling:
        firsts, pixels = firsts[::-1], pixels[::-1]
    normal = np.cross(*np.reshape(orientation, (2, 3)))
    ds.ImageOrientationPatient, ds.PixelSpacing = list(orientation), spacing
    ds.ImagePositionPatient = [float(value) for value in firsts[0]]
    ds.GridFrameOffsetVector = [float(offset) for offset in (firsts - firsts[0]) @ normal]
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.DoseGridScaling = "0.001"
    ds.PixelData = pixels.astype("<u2").tobytes()
    ds.save_as(path)
    return ds


POSITIONS = ("HFS", "HFP", "FFS", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")


def patient_in_room(position):
    """The patient's left, back and head (DICOM x, y, z) as columns, in the axes of a patient head first supine.

    From the words of PS3.3 C.7.3.1.1.2 alone: there y is down and z is towards the gantry. Head first: the head
    towards the gantry. Supine: the face up; prone: the face down; decubitus right: the right side down.
    """
    down, head = np.array([0, 1, 0]), np.array([0, 0, 1 if position[0] == "H" else -1])
    match position[2:]:
        case "S" | "P" as face:
            back = down if face == "S" else -down
            left = np.cross(back, head)
        case side:
            left = down if side == "DL" else -down
            back = np.cross(head, left)
    return np.stack([left, back, head], axis=1)


@dataclass(frozen=True)
class InRoom:
    """One phantom in the treatment room, as the DICOM objects of a patient in some position on the couch.

    A scanner sees the same pixels whatever the position: only the patient's axes differ. `phantom`, `isocenter`: in
    the axes of a patient head first supine.
    """

    phantom: Patient
    isocenter: tuple[float, float, float]  # mm
    position: str

    def in_patient(self, vector):
        """A point or direction of the room in this patient's coordinates."""
        return [float(value) + 0.0 for value in np.asarray(vector) @ patient_in_room(self.position)]

    def ct(self, folder):
        """Write the CT."""
        paths = write_ct(self.phantom, [1, 0, 0, 0, 1, 0], folder, PatientPosition=self.position)
        for path in paths:
            ds = pydicom.dcmread(path)
            self._place(ds)
            ds.save_as(path)
        return paths

    def dose(self, path):
        """Write the phantom's values as a dose in mGy."""
        ds = write_dose(self.phantom, [1, 0, 0, 0, 1, 0], path)
        self._place(ds)
        ds.save_as(path)
        return path

    def plan(self, path):
        """Write the sample's plan with gantry 37 and 97 and couch 20 degrees."""
        ds = load("RP.dcm")
        for setup in ds.PatientSetupSequence:
            setup.PatientPosition = self.position
        for index, beam in enumerate(ds.IonBeamSequence):
            first = beam.IonControlPointSequence[0]
            first.GantryAngle, first.PatientSupportAngle = 37.0 + 60 * index, 20.0
            first.IsocenterPosition = self.in_patient(self.isocenter)
        ds.save_as(path)
        return path

    def _place(self, ds):
        ds.ImagePositionPatient = self.in_patient([float(value) for value in ds.ImagePositionPatient])
        row, column = np.reshape([float(value) for value in ds.ImageOrientationPatient], (2, 3))
        ds.ImageOrientationPatient = [*self.in_patient(row), *self.in_patient(column)]
