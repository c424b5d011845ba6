"""Arrays in the spool: written once, durably, with their digest; mapped into memory by those who read them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mqi_communicator.dicom.records import Grid
from mqi_communicator.system.durable import new_file, sync_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grid_of(about: Mapping[str, Sequence[float]]) -> Grid:
    """The grid that was recorded beside an array, as JSON."""
    nz, ny, nx = (int(count) for count in about["shape"])
    (x, y, z), (dx, dy, dz) = about["origin"], about["spacing"]
    return Grid((nz, ny, nx), (x, y, z), (dx, dy, dz))


def write_array(path: Path, values: NDArray[Any]) -> str:
    """Write an array as .npy, mode 0600, by one rename; return the sha256 of the file, in hex.

    It is written slice by slice, so that a part of a large array is not copied first.
    """
    head = BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(head, about)
    digest = hashlib.sha256(head.getvalue())
    aside = path.with_suffix(".aside.npy")
    with new_file(aside) as file:
        file.write(head.getvalue())
        for plane in values:
            data = np.ascontiguousarray(plane).data
            digest.update(data)
            file.write(data)
    aside.rename(path)
    sync_folder(path.parent)
    return digest.hexdigest()
