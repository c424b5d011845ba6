"""CT and plan as moqui reads them, with what it takes wrongly (mqi_ct.hpp, mqi_treatment_session.hpp)."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from tests.standin.program import complain, die, throw


@dataclass(frozen=True)
class Voxels:
    """A grid as moqui sees it, in mm; `first` is the centre of the first voxel."""

    shape: tuple[int, int, int]  # nz, ny, nx
    first: tuple[float, float, float]  # x, y, z
    step: tuple[float, float, float]
    hu: np.ndarray


def find(folder: str, *, only_dcm: bool) -> tuple[list[Any], list[Any]]:
    """(CT slices, plans) of a folder, by the Modality that they say. Forks see only what is called .dcm."""
    if not Path(folder).is_dir():
        complain("gdcm: Directory.cxx: Assertion `system::FileIsDirectory(name)' failed.")
        die(signal.SIGABRT)
    paths = sorted(p for p in Path(folder).iterdir() if p.is_file() and (p.suffix == ".dcm" or not only_dcm))
    read = []
    for path in paths:
        try:
            read.append(pydicom.dcmread(path))
        except pydicom.errors.InvalidDicomError:
            continue
    slices = [ds for ds in read if ds.get("Modality") == "CT"]
    plans = [ds for ds in read if ds.get("Modality") == "RTPLAN"]
    return slices, plans


def voxels(slices: list[Any]) -> Voxels:
    """The volume: the row spacing is taken for the width, SliceThickness for the distance between slices."""
    slices = sorted(slices, key=lambda ds: float(ds.ImagePositionPatient[2]))
    first = slices[0]
    if first.Rows > first.Columns:
        complain("free(): invalid next size (normal)")
        die(signal.SIGABRT)
    for ds in slices:
        if not ds.PixelRepresentation or ds.BitsAllocated != 16 or ds.file_meta.TransferSyntaxUID.is_compressed:
            complain("mqi_ct.hpp: Assertion `0' failed.")
            die(signal.SIGABRT)
    stored = np.stack([np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns) for ds in slices])
    hu = stored * np.int16(float(slices[-1].RescaleSlope)) + np.int16(float(slices[-1].RescaleIntercept))
    x, y, z = (float(value) for value in first.ImagePositionPatient)
    width, height = (float(value) for value in first.PixelSpacing)  # the wrong way round
    step = (np.float32(width), np.float32(height), np.float32(float(first.SliceThickness)))
    return Voxels(hu.shape, (x, y, z), (float(step[0]), float(step[1]), float(step[2])), hu)


def check_plan(plans: list[Any], folder_size: int) -> Any:
    """The first plan; moqui dies without one."""
    if not plans:
        throw("There is no RTPLAN in the path. Exiting.")
    if folder_size <= len(plans):
        complain("mqi_tps_env.hpp: Assertion `dcm.n_plan < dcm.nfiles' failed.")
        die(signal.SIGABRT)
    return plans[0]


def beam_of(plan: Any, number: int) -> tuple[Any, str]:
    """The item of this number, and the name of the item at this place in the list: moqui takes one for the other."""
    found = [item for item in plan.IonBeamSequence if int(item.BeamNumber) == number]
    if not found:
        throw("Invalid beam number.")
    if number > len(plan.IonBeamSequence):
        die(signal.SIGSEGV)
    return found[0], str(plan.IonBeamSequence[number - 1].BeamName).strip()
