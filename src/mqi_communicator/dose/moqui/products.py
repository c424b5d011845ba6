"""The files in which moqui writes a dose: their names and sizes. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

_SUFFIXES = {"mha": (".mha",), "mhd": (".mhd", ".raw"), "raw": (".raw",), "dcm": (".dcm",)}


def files_of(product: str, dose_format: str) -> tuple[str, ...]:
    """The paths of one dose in this format; `product` has no suffix."""
    return tuple(product + suffix for suffix in _SUFFIXES[dose_format])


def size_problem(product: str, dose_format: str, sizes: Mapping[str, int], voxels: int) -> str | None:
    """The first file of one dose that is missing, empty, or of another size than so many voxels have."""
    for path in files_of(product, dose_format):
        size, kind = sizes.get(path, 0), PurePosixPath(path).suffix
        if size == 0:
            return f"{path} is missing or empty"
        values = 8 * voxels
        if kind == ".raw" and size != values:
            return f"{path} has {size} bytes, expected {values}"
        if kind == ".mha" and not values < size <= values + 4096:
            return f"{path} has {size} bytes, expected a header and {values}"
        if kind == ".dcm" and size < 2 * voxels:
            return f"{path} has {size} bytes, expected at least {2 * voxels}"
    return None
