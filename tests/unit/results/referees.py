"""Reference implementations of gamma: pymedphys and a brute-force search. Pairs of doses to compare them on."""

from __future__ import annotations

import logging
import warnings

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.special import erf

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium

MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
GRID = Grid((12, 15, 17), (-16.0, -14.0, -11.0), (2.0, 2.0, 2.0))
FINE = Grid((17, 21, 24), (-17.3, -15.1, -12.2), (1.5, 1.5, 1.5))
COARSE = Grid((8, 10, 11), (-18.0, -16.0, -13.0), (3.5, 3.5, 3.5))
UNEVEN = Grid((10, 25, 29), (-17.3, -16.1, -13.2), (1.2, 1.3, 2.9))
PART = Grid((12, 16, 17), (-8.0, -12.0, -8.0), (1.5, 1.5, 1.5))


def dose(grid: Grid, gy: np.ndarray) -> Dose:
    return Dose(grid, gy.astype(np.float32), MEANING, None)


def field(grid: Grid, shift=(0.0, 0.0, 0.0), *, edge=1.5, scale=1.0, noise=0.0, holes=0.0) -> Dose:
    """A box of 22 x 18 x 16 mm with soft edges (mm) and waves in x, moved by `shift` (x, y, z)."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    gy = 2 * scale * (1 + 0.1 * np.sin(x / 3))
    for place, moved, half in ((x, shift[0], 11), (y, shift[1], 9), (z, shift[2], 8)):
        gy = gy * (erf((place - moved + half) / edge) - erf((place - moved - half) / edge)) / 2
    chance = np.random.default_rng(3)
    gy = gy * (1 + noise * chance.standard_normal(gy.shape))
    return dose(grid, np.where(chance.random(gy.shape) < holes, np.nan, gy))


PAIRS = {  # planned, computed
    "agreeing": (field(GRID), field(FINE)),
    "shifted": (field(GRID), field(FINE, (1.8, 1.0, -1.0))),
    "steep": (field(GRID, edge=0.4), field(FINE, (1.5, -1.2, 1.0), edge=0.4)),
    "steep, on one grid": (field(GRID, edge=0.4), field(GRID, (1.9, 0.0, 0.0), edge=0.3)),
    "scaled": (field(GRID), field(FINE, scale=1.04)),
    "30 % too high": (field(GRID), field(GRID, scale=1.3, noise=0.01)),
    "noisy": (field(GRID), field(FINE, (1.0, 0.5, 0.0), noise=0.03)),
    "coarse": (field(GRID), field(COARSE, (1.0, 0.0, 0.5))),
    "anisotropic": (field(GRID), field(UNEVEN, (1.0, 1.0, 1.0), noise=0.02)),
    "cropped": (field(GRID), field(PART, (1.0, 1.0, 0.0))),
    "holes, on one grid": (field(GRID), field(GRID, (1.0, 0.0, 0.5), holes=0.03)),
    "holes": (field(GRID, holes=0.01), field(FINE, (1.0, 1.0, 0.0), noise=0.02, holes=0.01)),
}


def solid(computed: Dose, top: float):
    """Replace NaN voxels by a dose that nothing matches."""
    return np.where(np.isfinite(computed.gy), computed.gy, 1e9 * top).astype(np.float64)


def known(planned: Dose, computed: Dose):
    """Voxels of the planned grid at which both doses are finite."""
    points = np.stack(np.meshgrid(*planned.grid.axes(), indexing="ij"), -1)
    low, high = (np.array([end(axis) for axis in computed.grid.axes()]) for end in (np.min, np.max))
    nearest = np.clip(points, low, high)
    points = np.where(np.abs(points - nearest) < 1e-9, nearest, points)  # at the edge, but for rounding
    there = RegularGridInterpolator(computed.grid.axes(), solid(computed, 1e6), bounds_error=False, fill_value=np.inf)
    return np.isfinite(planned.gy) & (there(points) < 1e5)


def pymedphys_gamma(planned, computed, options, wanted, *, local=False, steps=10, ceiling=2.0):
    """What pymedphys finds at the wanted voxels, in their order; the ceiling where it finds nothing."""
    import pymedphys

    top = float(np.nanmax(planned.gy))
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pymedphys.gamma(
                planned.grid.axes(),
                np.where(wanted, planned.gy, -1.0).astype(np.float64),
                computed.grid.axes(),
                solid(computed, top),
                dose_percent_threshold=options.dose_percent,
                distance_mm_threshold=options.distance_mm,
                lower_percent_dose_cutoff=0.0,
                interp_fraction=steps,
                max_gamma=ceiling,
                local_gamma=local,
                global_normalisation=top,
                ram_available=2**28,
            )
    finally:
        logging.disable(before)
    return np.where(np.isfinite(found), found, ceiling)[wanted]


def brute_force(planned, computed, options, index, *, local=False, steps=12, starts=20):
    """The least gamma over a lattice of positions within a distance of each voxel (n, 3), refined around the
    best of them. Correct where it is below 1."""
    top = float(np.nanmax(planned.gy))
    axes = computed.grid.axes()
    there = RegularGridInterpolator(axes, np.nan_to_num(computed.gy), bounds_error=False, fill_value=1e9)
    hole = RegularGridInterpolator(axes, 1.0 * ~np.isfinite(computed.gy), bounds_error=False, fill_value=1)
    own = planned.gy[tuple(index.T)].astype(np.float64)[:, None]
    limit = options.dose_percent / 100 * (own if local else top)
    centre = np.stack([axis[i] for axis, i in zip(planned.grid.axes(), index.T, strict=True)], axis=1)[:, None]
    place, step = np.zeros_like(centre), options.distance_mm / steps
    for count in (steps, 2, 2, 2, 2, 2):
        line = np.arange(-count, count + 1) * step
        lattice = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3)
        tried = (place[:, :, None] + lattice).reshape(len(index), -1, 3)
        off = (there(centre + tried) - own) / limit
        value = np.sqrt(off**2 + (tried**2).sum(-1) / options.distance_mm**2)
        value[hole(centre + tried) > 1e-9] = np.inf
        first = np.argpartition(value, starts, axis=1)[:, :starts]
        place = np.take_along_axis(tried, first[:, :, None], axis=1)
        step /= 2
    return value.min(axis=1)


MOST = 50_000  # cubes of positions per round


def thorough(planned, computed, options, index, enough, *, local=False):
    """A gamma of each voxel (n, 3) that is not above `enough` (n,), if there is one and it is below 1.

    Cubes of positions are halved until none could hold less. A cube cannot hold less than the distance to its nearest
    corner with the dose at its centre moved by the steepest slope of the whole grid; the `MOST` best are halved."""
    top = float(np.nanmax(planned.gy))
    axes, filled = computed.grid.axes(), np.nan_to_num(computed.gy).astype(np.float64)
    there = RegularGridInterpolator(axes, filled)
    hole = RegularGridInterpolator(axes, 1.0 * ~np.isfinite(computed.gy))
    low, high = (np.array([end(axis) for axis in axes]) for end in (np.min, np.max))
    slope = [np.abs(np.diff(filled, axis=k)).max(initial=0) / computed.grid.spacing[2 - k] for k in range(3)]
    found = []
    for voxel, wanted in zip(index, enough, strict=True):
        own = float(planned.gy[tuple(voxel)])
        limit = options.dose_percent / 100 * (own if local else top)
        centre = np.array([axis[i] for axis, i in zip(planned.grid.axes(), voxel, strict=True)])
        half, cubes, best = options.distance_mm / 4, np.zeros((1, 3)), np.inf
        corners = np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3)
        cubes = (corners[:, None] * 2 + corners).reshape(-1, 3) * half
        for _ in range(10):
            at = centre + cubes
            inside = ((at + half >= low) & (at - half <= high)).all(axis=1)
            cubes, at = cubes[inside], np.clip(at[inside], low, high)
            off = np.abs(there(at) - own)
            value = np.hypot(off / limit, np.linalg.norm(at - centre, axis=1) / options.distance_mm)
            best = min(best, value[hole(at) <= 1e-9].min(initial=np.inf))
            near = np.linalg.norm(np.maximum(np.abs(cubes) - half, 0), axis=1) / options.distance_mm
            least = np.hypot(np.maximum(off - half * sum(slope), 0) / limit, near)
            half /= 2
            kept = np.argsort(least)[:MOST]
            cubes = (cubes[kept[least[kept] < 1]][:, None] + corners * half).reshape(-1, 3)
            if best <= wanted or not len(cubes):
                break
        found.append(best)
    return np.array(found)
