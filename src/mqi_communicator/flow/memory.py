"""How much memory a worker process needs for a case of a given size. Pure.

Measured with `bench/run.py --only clinical` and rounded up; mapped files are included.
"""

from __future__ import annotations

BASE_GIB = 0.4  # libraries, compiled code, pictures
PER_CT_VOXEL = 24  # bytes: CT, engine's dose, dose without air
PER_PLANNED_VOXEL = 44  # bytes: planned and computed dose of a beam, their sums, gamma
_GIB = 1 << 30


def needed_gib(ct_voxels: int, planned_voxels: int) -> float:
    """The largest memory of a worker for a case with this CT and this grid of planned doses, in GiB.

    Beams are in memory one at a time: their number does not matter.
    """
    return BASE_GIB + max(PER_CT_VOXEL * ct_voxels, PER_PLANNED_VOXEL * planned_voxels) / _GIB


def largest_ct(limit_gib: float) -> int:
    """The voxels of the largest CT with planned doses on its own grid, for workers with this much memory."""
    return int(max(0.0, limit_gib - BASE_GIB) * _GIB / max(PER_CT_VOXEL, PER_PLANNED_VOXEL))


def advice() -> str:
    """What to do if the memory does not suffice."""
    return (
        f"raise resources.worker_memory_gib: a case needs about {BASE_GIB:g} GiB, and {PER_CT_VOXEL} bytes per voxel "
        f"of its CT or {PER_PLANNED_VOXEL} per voxel of a planned dose, whichever is more (docs/operations.md)"
    )
