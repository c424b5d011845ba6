"""Writes an anonymous CT for an engine, slice by slice, in signed 16 bit Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.decimal_string import decimal
from mqi_communicator.dicom.header import CT_IMAGE
from mqi_communicator.dicom.outgoing import content_digest, encoded, new_object
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

AIR = -1000  # HU
_LIMITS = (-32768, 32767)  # of signed 16 bit


def ct_content(grid: Grid, hu: NDArray[np.int16]) -> bytes:
    """Return a digest of the CT as it is sent: grid and voxels."""
    return content_digest(repr((grid.shape, grid.origin, grid.spacing)).encode("ascii"), hu.astype("<i2").tobytes())


def whole_hounsfield(ct: CTVolume) -> NDArray[np.int16]:
    """Return the CT in whole Hounsfield units. DicomProblem if a voxel does not fit into 16 bit."""
    low, high = float(ct.hu.min()), float(ct.hu.max())
    if low < _LIMITS[0] or high > _LIMITS[1]:
        raise DicomProblem(
            f"the CT contains {low:g} to {high:g} HU, expected {_LIMITS[0]} to {_LIMITS[1]}",
            "export the CT again, in Hounsfield units",
            code="dose.ct_values",
        )
    return np.rint(ct.hu).astype(np.int16)


def ct_files(grid: Grid, hu: NDArray[np.int16], content: bytes) -> dict[str, bytes]:
    """Return the slices [z, y, x] by file name, from the feet up. SliceThickness is the distance between slices."""
    z_axis, _, _ = grid.axes()
    files = {}
    for index, (z, pixels) in enumerate(zip(z_axis, hu, strict=True), start=1):
        ds = new_object(CT_IMAGE, "CT", content, index)
        ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        ds.AcquisitionNumber, ds.SeriesNumber, ds.InstanceNumber = 1, 1, index
        ds.KVP, ds.PatientPosition, ds.BodyPartExamined, ds.RescaleType = "", "HFS", "WHOLEBODY", "HU"
        ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
        ds.SliceThickness = decimal(grid.spacing[2])
        ds.ImagePositionPatient = [decimal(grid.origin[0]), decimal(grid.origin[1]), decimal(float(z))]
        ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        ds.PixelSpacing = [decimal(grid.spacing[1]), decimal(grid.spacing[0])]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = pixels.shape
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.PixelData = pixels.astype("<i2").tobytes()
        ds["PixelData"].VR = "OW"
        files[f"CT.{index:04d}.dcm"] = encoded(ds)
    return files
