"""Files as moqui and its forks write them, with their quirks (mqi_io.hpp)."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from tests.standin.patient import Voxels
from tests.standin.program import complain, die, say
from tests.standin.settings import Settings


def save(folder: str, name: str, dose: np.ndarray, voxels: Voxels, dose_format: str, setting: Settings) -> None:
    """One dose. Any other format than mhd, mha and dcm is silently written raw."""
    fault = setting.fault
    values = _spoiled(dose, fault)
    if fault == "wrong-grid":
        values = np.ascontiguousarray(values.transpose(1, 0, 2))
    if fault == "wrong-origin":
        voxels = Voxels(voxels.shape, (voxels.first[0] + 40.0, *voxels.first[1:]), voxels.step, voxels.hu)
    if fault == "unwritable":
        say("Cannot open file!\nError occurred at writing time!")
        return
    if fault == "no-product":
        return
    path = Path(folder) / name
    match dose_format:
        case "mhd":
            path.with_name(f"{name}.mhd").write_text(_mhd(name, values.shape, voxels, setting))
            _crash(fault)
            _write(path.with_name(f"{name}.raw"), b"", values, fault, speaks=True)
        case "mha":
            _crash(fault)
            _write(path.with_name(f"{name}.mha"), _mha(values.shape, voxels).encode(), values, fault, speaks=True)
        case "dcm" if setting.flavour != "upstream":
            _dcm(path.with_name(f"{name}.dcm"), values, voxels, fault)
        case _:
            _crash(fault)
            _write(path.with_name(f"{name}.raw"), b"", values, fault, speaks=False)


def _crash(fault: str) -> None:
    if fault == "save-crash":
        die(signal.SIGSEGV)


def _spoiled(dose: np.ndarray, fault: str) -> np.ndarray:
    values = dose.copy()
    if fault == "nan":
        values[0, 0, 0] = np.nan
    if fault == "negative":
        values = -values
    return values


def _write(path: Path, header: bytes, values: np.ndarray, fault: str, *, speaks: bool) -> None:
    whole = header + values.astype("<f8").tobytes()
    cut = {"short": len(whole) // 2, "disk-full": len(whole) // 3, "empty": 0}.get(fault, len(whole))
    path.write_bytes(whole[:cut])
    if fault == "disk-full" and speaks:
        say("Error occurred at writing time!")


def _mhd(name: str, shape: tuple[int, ...], voxels: Voxels, setting: Settings) -> str:
    """Three lines lack their `=`. The first voxel is given by its centre, or, by forks and some builds, by its edge."""
    edge = setting.flavour != "upstream" or setting.offset == "edge"
    first = [at - step / 2 if edge else at for at, step in zip(voxels.first, voxels.step, strict=True)]
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix 1 0 0 0 1 0 0 0 1\nOffset {_words(first, 6)}\nCenterOfRotation 0 0 0\n"
        f"AnatomicOrientation = RAI\nDimSize = {shape[2]} {shape[1]} {shape[0]}\nElementType = MET_DOUBLE\n"
        f"ElementSpacing = {_words(voxels.step, 6)}\nElementDataFile = {name}.raw\n"
    )


def _mha(shape: tuple[int, ...], voxels: Voxels) -> str:
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOrigin = {_words(voxels.first, 9)}\nCenterOfRotation = 0 0 0\n"
        f"AnatomicOrientation = RAI\nDimSize = {shape[2]} {shape[1]} {shape[0]}\nElementType = MET_DOUBLE\n"
        f"HeaderSize = -1\nElementSpacing = {_words(voxels.step, 9)}\nElementDataFile = LOCAL\n"
    )


def _words(numbers: list[float] | tuple[float, ...], digits: int) -> str:
    return " ".join(f"{np.float32(number):.{digits}g}" for number in numbers)


def _dcm(path: Path, values: np.ndarray, voxels: Voxels, fault: str) -> None:
    """An object that calls itself an RT Dose: no frames, no plan, width first, integers cut off."""
    import warnings

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    if fault == "dcm-unsaved":
        complain(f"Error: Could not save DICOM file: {path}: No such file or directory")
        return
    largest = float(values.max())
    scaling = largest / 65535.0 if fault != "dcm-coarse" else largest / 39.0
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.2", generate_uid()
    ds.Modality, ds.Manufacturer, ds.DoseUnits, ds.DoseType = "RTDOSE", "Moqui Monte Carlo", "GY", "PHYSICAL"
    ds.DoseSummationType = "PLAN"
    ds.Rows, ds.Columns = values.shape[1], values.shape[2]
    ds.PixelSpacing = [f"{voxels.step[0]:.6f}", f"{voxels.step[1]:.6f}"]
    ds.ImagePositionPatient = [f"{at:.6f}" for at in voxels.first]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.DoseGridScaling = f"{scaling:.9e}"
    ds.PixelData = np.floor(values / float(ds.DoseGridScaling)).clip(0, 65535).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if fault == "short" else data)
    say(f"Successfully saved DICOM RT Dose file: {path}")
