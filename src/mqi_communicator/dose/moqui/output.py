"""From moqui's files to a dose in Gy on the CT's grid, and from the difference of its runs to an uncertainty.

The uncertainty of the mean of n runs that differ in their seed alone: with s(v) the standard deviation of the runs in
voxel v (n - 1 degrees of freedom) and m(v) their mean,

    u = sqrt( mean over v of  s(v)^2 / (n m(v)^2) ),   v where m is at least half of its maximum.

For two runs this is the root mean square of (d1 - d2) / (d1 + d2): their difference has sqrt(2) times the standard
deviation of one run, and their mean 1 / sqrt(2) of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.foreign_dose import read_foreign_dose
from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.moqui.flavour import Origin
from mqi_communicator.dose.moqui.metaimage import check_header, split_mha
from mqi_communicator.dose.moqui.products import files_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_HIGH = 0.5  # of the maximum: where the uncertainty is computed


def read_values(product: str, dose_format: str, products: Mapping[str, bytes], grid: Grid, origin: Origin) -> Doubles:
    """The values [z, y, x] of one dose as moqui wrote them. Permanent if they are not a dose on this grid."""
    paths = files_of(product, dose_format)
    if missing := [path for path in paths if path not in products]:
        raise Permanent(f"{', '.join(missing)} was not fetched from the host")
    first, last = products[paths[0]], products[paths[-1]]
    kind = "<f8"
    if dose_format == "dcm":
        values = read_foreign_dose(paths[0], first, grid)
    else:
        if dose_format == "mha":
            header, last = split_mha(paths[0], first)
            kind = check_header(paths[0], header, grid, Origin.EITHER, "LOCAL")
        elif dose_format == "mhd":
            kind = check_header(paths[0], first, grid, origin, PurePosixPath(paths[1]).name)
        expected = np.dtype(kind).itemsize * grid.shape[0] * grid.shape[1] * grid.shape[2]
        if len(last) != expected:
            raise Permanent(f"{paths[-1]} holds {len(last)} bytes of values, expected {expected}")
        values = np.frombuffer(last, dtype=kind).reshape(grid.shape).astype(np.float64, copy=False)
    _refuse_what_is_no_dose(paths[-1], values)
    return values


def _refuse_what_is_no_dose(path: str, values: Doubles) -> None:
    if not np.isfinite(values).all():
        raise Permanent(f"{path} has voxels that are not finite (NaN or infinite)")
    if values.min() < 0:
        raise Permanent(
            f"{path} is negative somewhere ({values.min():g})", "moqui causes this without particles per history"
        )
    if values.max() <= 0:
        raise Permanent(
            f"{path} is zero everywhere",
            "check the isocentre and the CT; spots without histories and unread spot lists also cause this",
        )


def mean_and_uncertainty(runs: Sequence[Doubles], counted: NDArray[np.bool_]) -> tuple[Doubles, float | None]:
    """The mean of runs with different seeds, and its relative uncertainty (1 sigma); None for a single run.

    `counted`: the voxels that are included. In air the noise is many times that of tissue.

    Permanent if two runs are equal: the program ignored its seed, and their difference contains no information.
    """
    mean = runs[0].copy()
    for run in runs[1:]:  # in place: a large CT has as many voxels as fit into memory
        mean += run
    mean /= len(runs)
    if len(runs) == 1:
        return mean, None
    if any(np.array_equal(runs[0], other) for other in runs[1:]):
        raise Permanent(
            "two runs with different seeds gave the same dose, so its uncertainty is unknown",
            "this build of moqui ignores RandomSeed: set engine.seeds to 1 (every verdict is then `undecided`)",
        )
    top = float(mean[counted].max(initial=0.0))
    if top <= 0:
        raise Permanent("the dose is zero everywhere in the patient", "check the isocentre and the CT")
    high = counted & (mean >= _HIGH * top)
    variance = np.var([run[high] for run in runs], axis=0, ddof=1) / len(runs)
    return mean, float(np.sqrt(np.mean(variance / mean[high] ** 2)))
