"""A dose that looks like one: Bragg curves along the water-equivalent depth, Gaussians across. Not moqui's physics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tests.standin.beamline import Block, Device, Slab, crossed, is_open
from tests.standin.machine import Spots
from tests.standin.patient import Voxels

AIR = 0.00121 * 9.35  # g/cm3 of all that is thinner, as moqui has it: 100 mm of it cost 1.1 mm of range
_ALPHA, _POWER = 0.022, 1.77  # range in mm of a proton: alpha E^p
_GY_PER_MEV_PER_G = 1.602176634e-10
_FINE = 2.0  # mm of the grid along the beam
_REACH = 4.0  # sigmas
_SCATTER = 0.055  # radians behind a range shifter as thick as the range: 0.027 of 150 MeV behind 77 mm of water


def beam_dose(
    voxels: Voxels,
    spots: Spots,
    weights: np.ndarray,
    *,
    isocentre: tuple[float, float, float],
    gantry: float,
    couch: float,
    start: float,
    devices: Sequence[Device] = (),
) -> np.ndarray:
    """Gy [z, y, x] of so many protons per spot, started `start` mm upstream of the isocentre."""
    devices, start = crossed(devices, start)
    axes = [np.array(v) for v in _axes(gantry, couch)]
    nz, ny, nx = voxels.shape
    ranges = [voxels.first[k] - isocentre[k] + voxels.step[k] * np.arange(n) for k, n in enumerate((nx, ny, nz))]
    zs, ys, xs = np.meshgrid(ranges[2], ranges[1], ranges[0], indexing="ij")
    u, v, s = (xs * a[0] + ys * a[1] + zs * a[2] for a in axes)
    scattered = max((_SCATTER * (one.top + 200.0) for one in devices if isinstance(one, Slab)), default=0.0)
    margin = _REACH * (float(spots.sigma.max()) + 6.0 + scattered / 2)
    near = (
        (u > spots.x.min() - margin) & (u < spots.x.max() + margin) & (v > spots.y.min() - margin)
        & (v < spots.y.max() + margin) & (s < start)
    )  # fmt: skip
    gy = np.zeros(voxels.shape)
    if near.any():
        u, v, s = u[near], v[near], s[near]
        depth = _depths(voxels, isocentre, axes, (u, v, s), start)
        gy[near] = _layers(spots, weights, (u, v, s), depth, [one for one in devices if isinstance(one, Slab)])
        for one in devices:
            if isinstance(one, Block):
                gy[near] *= is_open(one, *_at(one.bottom, (u, v, s), spots.sad))
                gy[near] *= is_open(one, *_at(one.top, (u, v, s), spots.sad))
    return gy


def _at(
    height: float, points: tuple[np.ndarray, np.ndarray, np.ndarray], sad: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays from the magnets through points (u, v, s) are at this height."""
    u, v, s = points
    return u / (1 - s / sad[0]) * (1 - height / sad[0]), v / (1 - s / sad[1]) * (1 - height / sad[1])


def _layers(
    spots: Spots,
    weights: np.ndarray,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    depth: np.ndarray,
    slabs: Sequence[Slab],
) -> np.ndarray:
    u, v, s = points
    gy = np.zeros(len(u))
    hit = [np.all([np.abs(x) <= h for x, h in zip(_at(one.bottom, points, spots.sad), one.half, strict=True)], axis=0)
           for one in slabs]  # fmt: skip
    for energy in np.unique(spots.energy):
        here = spots.energy == energy
        through = depth + sum((one.wet * which for one, which in zip(slabs, hit, strict=True)), start=np.zeros(len(u)))
        stopping = np.interp(through, *_bragg(float(energy)), right=0.0)  # MeV/mm
        reached = stopping > 0
        spread = (spots.sigma[here][0] ** 2 + (0.02 * depth[reached]) ** 2)[:, None]
        for one, which in zip(slabs, hit, strict=True):
            angle = _SCATTER * one.wet / (_ALPHA * float(energy) ** _POWER)
            off = angle * ((one.bottom + one.top) / 2 - s[reached]) * which[reached]
            spread = spread + (off**2)[:, None]
        across = u[reached, None] - spots.x[here] * (1 - s[reached, None] / spots.sad[0])
        along = v[reached, None] - spots.y[here] * (1 - s[reached, None] / spots.sad[1])
        fluence = (np.exp(-(across**2 + along**2) / (2 * spread)) / (2 * math.pi * spread)) @ weights[here]
        gy[reached] += fluence * stopping[reached] * 1000.0 * _GY_PER_MEV_PER_G  # MeV/mm3 to MeV/g of water
    return gy


def _bragg(energy: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy loss (MeV/mm) of one proton against depth (mm): exact in sum, blurred by straggling."""
    reach, step = _ALPHA * energy**_POWER, 0.25
    edges = np.arange(0.0, reach + 25.0, step)
    left = np.where(edges < reach, (np.maximum(reach - edges, 0) / _ALPHA) ** (1 / _POWER), 0.0)
    loss = np.concatenate([np.full(80, -np.diff(left)[0]), -np.diff(left)]) / step  # the beginning must not blur away
    sigma = (0.015 * reach + 0.5) / step
    bell = np.exp(-0.5 * (np.arange(-79, 80) / sigma) ** 2)
    return edges[:-1] + step / 2, np.convolve(loss, bell / bell.sum(), mode="same")[80:]


def _depths(
    voxels: Voxels,
    isocentre: tuple[float, float, float],
    axes: list[np.ndarray],
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    start: float,
) -> np.ndarray:
    """Water-equivalent depth (mm) of points (u, v, s) below the plane where protons start."""
    u, v, s = points
    grid = [np.arange(p.min() - _FINE, p.max() + 2 * _FINE, _FINE) for p in (u, v)]
    along = np.arange(min(start, float(s.max()) + 2 * _FINE), float(s.min()) - _FINE, -_FINE / 2)
    top = _column(voxels, isocentre, axes, grid, np.arange(start, along[0], -_FINE / 2)) if along[0] < start else 0.0
    density = _sampled(voxels, isocentre, axes, grid, along)
    depth = top + np.cumsum(density, axis=2) * _FINE / 2 - density * _FINE / 4
    places = [(u - grid[0][0]) / _FINE, (v - grid[1][0]) / _FINE, (along[0] - s) / (_FINE / 2)]
    return _between(depth, places)


def _column(
    voxels: Voxels,
    isocentre: tuple[float, float, float],
    axes: list[np.ndarray],
    grid: list[np.ndarray],
    along: np.ndarray,
) -> np.ndarray:
    return np.asarray(_sampled(voxels, isocentre, axes, grid, along).sum(axis=2, keepdims=True) * _FINE / 2)


def _sampled(
    voxels: Voxels,
    isocentre: tuple[float, float, float],
    axes: list[np.ndarray],
    grid: list[np.ndarray],
    along: np.ndarray,
) -> np.ndarray:
    """Relative stopping power at points of the beam's own grid; 0 outside the CT, where moqui has nothing."""
    u, v, s = np.meshgrid(grid[0], grid[1], along, indexing="ij", sparse=True)
    places = []
    for k in range(3):
        at = isocentre[k] + u * axes[0][k] + v * axes[1][k] + s * axes[2][k]
        places.append((at - voxels.first[k]) / voxels.step[k])
    power = np.clip(1.0 + voxels.hu / 1000.0, AIR, 3.0)
    return _between(np.pad(power, 1), [place + 1 for place in places[::-1]])


def _between(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Values at places given in steps along each axis, linear between them; beyond the ends as at the ends."""
    low, share = [], []
    for place, count in zip(places, values.shape, strict=True):
        at = np.clip(place, 0, count - 1)
        first = np.minimum(at.astype(int), count - 2)
        low.append(first)
        share.append(at - first)
    total: np.ndarray = np.zeros(np.broadcast(*places).shape)
    for corner in itertools.product((0, 1), repeat=3):
        weight = np.prod(np.broadcast_arrays(*(s if c else 1 - s for s, c in zip(share, corner, strict=True))), axis=0)
        total += weight * values[tuple(f + c for f, c in zip(low, corner, strict=True))]
    return total


def _axes(gantry: float, couch: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and z of the gantry in the patient: collimator, gantry about y, couch about z backwards, IEC to DICOM."""
    g, c = math.radians(gantry), math.radians(-couch)
    about_y = np.array([[math.cos(g), 0, math.sin(g)], [0, 1, 0], [-math.sin(g), 0, math.cos(g)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    whole = about_x @ about_z @ about_y
    return whole[:, 0], whole[:, 1], whole[:, 2]
