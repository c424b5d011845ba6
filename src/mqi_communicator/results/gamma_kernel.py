"""The gamma search (Low 1998), compiled with numba at import, or loaded from numba's cache. Pure.

Gamma of a point is the smallest length of (dose difference / its limit, distance / its limit) over all positions of the
evaluated grid, between whose voxels the dose is trilinear. Distances and differences to the point's own dose are given
in units of their limits, so that gamma squared is `w * w + z * z + y * y + x * x`.

A box of positions has two lower bounds: from its distance and the doses of its corners, which bound a trilinear dose;
and from the plane through its corners, from which the dose differs most at a corner. A box that cannot contain a
smaller value is skipped; any other is evaluated at one position, and halved if it could contain a value smaller by
more than a margin. So gamma is never too small, and too large by at most `MARGIN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types

MARGIN = 0.005  # accuracy of values of gamma
EDGE = 0.001  # a point that fails has a gamma above 1 - EDGE
_PASS = 1 + 1e-9  # gamma squared that still passes: allows for rounding of decimal strings
_FAIL = 1 + 1e-6  # the smallest gamma of a point that fails
_ROWS = 128  # size of the stack of boxes
_STEPS = 3  # of Newton's method
_LOW, _HIGH, _ALL = 0, 1, 2  # parts of a side
_TINY = 1e-7  # a box of this length is not halved
_F8, _I8 = types.float64, types.int64
_DOSE = types.Array(types.float32, 3, "C", readonly=True)
_LINE = types.Array(types.float64, 1, "C", readonly=True)
_TABLE = types.Array(types.float64, 2, "C", readonly=True)
_WORK = types.float64[:, ::1]

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(signature: Any) -> Callable[[Function], Function]:
    """Compile for one signature, using the cache if possible; a full or read-only disk must not prevent a verdict."""

    def compiled(function: Function) -> Function:
        try:
            return cast("Function", njit(signature, cache=True)(function))
        except Exception:  # noqa: BLE001 - numba raises various errors for a full, read-only or damaged cache
            return cast("Function", njit(signature)(function))

    return compiled


@_compiled(_F8(_F8, _F8))
def _away(low: float, high: float) -> float:
    """The distance of an interval from 0."""
    if low > 0:
        return low
    return -high if high < 0 else 0.0


@_compiled(_F8(_F8, _F8, _F8))
def _clamped(place: float, low: float, high: float) -> float:
    return min(max(place, low), high)


@_compiled(_F8(_F8, _F8))
def _ratio(part: float, whole: float) -> float:
    """`part / whole`; 0 if `whole` is 0."""
    return part / whole if whole > 0 else 0.0


@_compiled(_F8(_F8, _F8, _F8, _F8))
def _line(first: float, last: float, low: float, high: float) -> float:
    """Minimum of dose squared plus distance squared on a line along one axis, on which the dose is linear."""
    slope = _ratio(last - first, high - low)
    place = _clamped(-slope * (first - slope * low) / (1 + slope * slope), low, high)
    dose = first + slope * (place - low)
    return dose * dose + place * place


@_compiled(types.void(_WORK, _I8, _I8))
def _halve(boxes: Any, row: int, axis: int) -> None:
    """Halve the box in a row across an axis; the nearer half is put into the next row."""
    low, high = boxes[row, 2 * axis], boxes[row, 2 * axis + 1]
    middle = (low + high) / 2
    near, far = (row + 1, row) if middle > 0 else (row, row + 1)  # low side, high side
    for column in range(14):
        boxes[row + 1, column] = boxes[row, column]
    boxes[near, 2 * axis], boxes[near, 2 * axis + 1] = low, middle
    boxes[far, 2 * axis], boxes[far, 2 * axis + 1] = middle, high
    step = 4 >> axis
    for corner in range(8):
        if corner & step == 0:
            first, last = 6 + corner, 6 + corner + step
            between = (boxes[row, first] + boxes[row, last]) / 2
            boxes[near, last] = between
            boxes[far, first] = between


@_compiled(_F8(_WORK, _I8, _F8))
def _bound(boxes: Any, row: int, enough: float) -> float:
    """Lower bound of gamma squared in the box of a row; a position to evaluate is put into its last columns.

    The search for a better bound ends when one reaches `enough`. In the bound of the plane, w squared is replaced by
    2 p w - p squared, which is never larger, so that each axis can be solved alone; p is optimized by Newton's method.
    """
    z0, z1, y0 = boxes[row, 0], boxes[row, 1], boxes[row, 2]
    y1, x0, x1 = boxes[row, 3], boxes[row, 4], boxes[row, 5]
    a, b, c, d = boxes[row, 6], boxes[row, 7], boxes[row, 8], boxes[row, 9]
    e, f, g, h = boxes[row, 10], boxes[row, 11], boxes[row, 12], boxes[row, 13]
    low, high = min(a, b, c, d, e, f, g, h), max(a, b, c, d, e, f, g, h)
    z, y, x = _clamped(0.0, z0, z1), _clamped(0.0, y0, y1), _clamped(0.0, x0, x1)
    bound = z * z + y * y + x * x + _away(low, high) ** 2
    if bound >= enough:
        return bound
    mean = (a + b + c + d + e + f + g + h) / 8
    tz, ty, tx = (e + f + g + h) / 4 - mean, (c + d + g + h) / 4 - mean, (b + d + f + h) / 4 - mean
    bent = max(
        abs(a - mean + tz + ty + tx), abs(b - mean + tz + ty - tx),
        abs(c - mean + tz - ty + tx), abs(d - mean + tz - ty - tx),
        abs(e - mean - tz + ty + tx), abs(f - mean - tz + ty - tx),
        abs(g - mean - tz - ty + tx), abs(h - mean - tz - ty - tx),
    )  # fmt: skip
    gz, gy, gx = _ratio(2 * tz, z1 - z0), _ratio(2 * ty, y1 - y0), _ratio(2 * tx, x1 - x0)
    here = mean - (gz * (z0 + z1) + gy * (y0 + y1) + gx * (x0 + x1)) / 2
    side = 1.0 if low > 0 or (high >= 0 and here > 0) else -1.0
    here -= side * bent
    pull = here / (1 + gz * gz + gy * gy + gx * gx)
    for _ in range(_STEPS):
        if pull * side <= 0:
            break
        z, y, x = _clamped(-pull * gz, z0, z1), _clamped(-pull * gy, y0, y1), _clamped(-pull * gx, x0, x1)
        dose = here + gz * z + gy * y + gx * x
        bound = max(bound, pull * (2 * dose - pull) + z * z + y * y + x * x)
        free = gz * gz * (z == -pull * gz) + gy * gy * (y == -pull * gy) + gx * gx * (x == -pull * gx)
        pull += (dose - pull) / (1 + free)
    boxes[row, 14], boxes[row, 15], boxes[row, 16] = z, y, x
    boxes[row, 17] = 2 if abs(gx) >= max(abs(gy), abs(gz)) else 1 if abs(gy) >= abs(gz) else 0
    return bound


@_compiled(_F8(_WORK, _I8))
def _tried(boxes: Any, row: int) -> float:
    """Minimum of gamma squared on a line through the position to evaluate, along the axis of the steepest dose."""
    axis = int(boxes[row, 17])
    one, two = (axis + 1) % 3, (axis + 2) % 3  # the other two axes
    ends = (0.0, 0.0)
    at_one = _ratio(boxes[row, 14 + one] - boxes[row, 2 * one], boxes[row, 2 * one + 1] - boxes[row, 2 * one])
    at_two = _ratio(boxes[row, 14 + two] - boxes[row, 2 * two], boxes[row, 2 * two + 1] - boxes[row, 2 * two])
    up_one, up_two, up = 4 >> one, 4 >> two, 4 >> axis
    for end in range(2):
        base = 6 + end * up
        near = boxes[row, base] * (1 - at_two) + boxes[row, base + up_two] * at_two
        far = boxes[row, base + up_one] * (1 - at_two) + boxes[row, base + up_one + up_two] * at_two
        dose = near * (1 - at_one) + far * at_one
        ends = (dose, dose) if end == 0 else (ends[0], dose)
    away = boxes[row, 14 + one] ** 2 + boxes[row, 14 + two] ** 2
    return float(away + _line(ends[0], ends[1], boxes[row, 2 * axis], boxes[row, 2 * axis + 1]))


@_compiled(_F8(_WORK, _F8, _F8, _F8))
def _least(boxes: Any, best: float, enough: float, margin: float) -> float:
    """Minimum of gamma squared in the box of row 0, if it is below `best`; or the first value below `enough`."""
    waiting = 1
    cut = max(math.sqrt(best) - margin, 0.0) ** 2
    while waiting > 0:
        waiting -= 1
        bound = _bound(boxes, waiting, best)
        if bound >= best:
            continue
        found = _tried(boxes, waiting)
        if found <= enough:
            return found
        if found < best:
            best = found
            cut = max(math.sqrt(best) - margin, 0.0) ** 2
        z = boxes[waiting, 1] - boxes[waiting, 0]
        y = boxes[waiting, 3] - boxes[waiting, 2]
        x = boxes[waiting, 5] - boxes[waiting, 4]
        longest = max(z, y, x)
        if bound < cut and longest > _TINY and waiting + 2 <= _ROWS:
            _halve(boxes, waiting, 0 if z == longest else 1 if y == longest else 2)
            waiting += 2
    return best


@_compiled(_F8(_WORK, _F8, _F8, _F8))
def _whole_parts(boxes: Any, best: float, enough: float, margin: float) -> float:
    """The same for a box with NaN corners: the minimum over its faces, edges and corners without NaN."""
    whole = np.empty(14)
    for column in range(14):
        whole[column] = boxes[0, column]
    for part in range(26):  # for each axis the low side, the high side or all of it; 26 would be the box itself
        kept = (part // 9, part // 3 % 3, part % 3)
        good = True
        for corner in range(8):
            source = 0
            for axis in range(3):
                step = 4 >> axis
                source += step * kept[axis] if kept[axis] != _ALL else corner & step
            boxes[0, 6 + corner] = whole[6 + source]
            good &= math.isfinite(whole[6 + source])
        if not good:
            continue
        for axis in range(3):
            boxes[0, 2 * axis] = whole[2 * axis + (kept[axis] == _HIGH)]
            boxes[0, 2 * axis + 1] = whole[2 * axis + (kept[axis] != _LOW)]
        best = _least(boxes, best, enough, margin)
        if best <= enough:
            return best
    return best


@_compiled(_F8(_DOSE, _F8, _F8, _F8))
def _dose_at(dose: Any, z: float, y: float, x: float) -> float:
    """The trilinear dose at fractional indices inside the grid; not finite next to a NaN."""
    k, j, i = int(z), int(y), int(x)
    total = 0.0
    for dk in range(2 if z > k else 1):
        for dj in range(2 if y > j else 1):
            for di in range(2 if x > i else 1):
                weight = abs(1 - dk - z + k) * abs(1 - dj - y + j) * abs(1 - di - x + i)
                total += weight * dose[k + dk, j + dj, i + di]
    return total


@_compiled(types.boolean(_DOSE, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8))
def _out_of_reach(
    dose: Any, z: float, y: float, x: float, rz: float, ry: float, rx: float, own: float, limit: float, here: float
) -> bool:
    """Whether all voxels of the cells within reach (in voxels) are too high, or all are too low.

    `here` is the computed dose at the point itself. A NaN is neither too high nor too low.
    """
    nz, ny, nx = dose.shape
    k0, k1 = max(math.floor(z - rz), 0), min(math.ceil(z + rz), nz - 1) + 1
    j0, j1 = max(math.floor(y - ry), 0), min(math.ceil(y + ry), ny - 1) + 1
    i0, i1 = max(math.floor(x - rx), 0), min(math.ceil(x + rx), nx - 1) + 1
    side = 1.0 if here > own else -1.0
    least = limit * _PASS + side * own
    for k in range(k0, k1):
        for j in range(j0, j1):
            for i in range(i0, i1):
                if not side * dose[k, j, i] > least:
                    return False
    return True


@_compiled(types.boolean(_WORK, _DOSE, _I8, _I8, _I8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8))
def _fill(
    boxes: Any, dose: Any, k: int, j: int, i: int,
    z: float, y: float, x: float, sz: float, sy: float, sx: float, own: float, scale: float,
) -> bool:  # fmt: skip
    """Put a cell into row 0, relative to the point; returns whether all its corners are finite."""
    nz, ny, nx = dose.shape
    up_k, up_j, up_i = min(k + 1, nz - 1), min(j + 1, ny - 1), min(i + 1, nx - 1)
    boxes[0, 0], boxes[0, 1] = (k - z) * sz, (up_k - z) * sz
    boxes[0, 2], boxes[0, 3] = (j - y) * sy, (up_j - y) * sy
    boxes[0, 4], boxes[0, 5] = (i - x) * sx, (up_i - x) * sx
    good = True
    for corner in range(8):
        value = dose[up_k if corner & 4 else k, up_j if corner & 2 else j, up_i if corner & 1 else i]
        boxes[0, 6 + corner] = (value - own) * scale
        good &= math.isfinite(value)
    return good


@_compiled(_F8(_DOSE, _WORK, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8))
def _outwards(
    dose: Any, boxes: Any, z: float, y: float, x: float, sz: float, sy: float, sx: float,
    own: float, scale: float, best: float, enough: float, margin: float,
) -> float:  # fmt: skip
    """Minimum of gamma squared, cell by cell in shells around the point; or the first value below `enough`."""
    nz, ny, nx = dose.shape
    k0, j0, i0 = min(int(z), max(nz - 2, 0)), min(int(y), max(ny - 2, 0)), min(int(x), max(nx - 2, 0))
    shell = 0
    while shell < max(nz, ny, nx):
        least = min(
            min(shell + k0 - z, z - k0 + shell - 1) * sz,
            min(shell + j0 - y, y - j0 + shell - 1) * sy,
            min(shell + i0 - x, x - i0 + shell - 1) * sx,
        )
        if least > 0 and least * least >= best:
            break
        for k in range(max(k0 - shell, 0), min(k0 + shell, max(nz - 2, 0)) + 1):
            wz = _away((k - z) * sz, (k + 1 - z) * sz) ** 2
            if wz >= best:
                continue
            for j in range(max(j0 - shell, 0), min(j0 + shell, max(ny - 2, 0)) + 1):
                wy = wz + _away((j - y) * sy, (j + 1 - y) * sy) ** 2
                if wy >= best:
                    continue
                step = 1 if shell == 0 or abs(k - k0) == shell or abs(j - j0) == shell else 2 * shell
                for i in range(i0 - shell, i0 + shell + 1, step):
                    if i < 0 or i > max(nx - 2, 0) or wy + _away((i - x) * sx, (i + 1 - x) * sx) ** 2 >= best:
                        continue
                    good = _fill(boxes, dose, k, j, i, z, y, x, sz, sy, sx, own, scale)
                    best = _least(boxes, best, enough, margin) if good else _whole_parts(boxes, best, enough, margin)
                    if best <= enough:
                        return best
        shell += 1
    return best


@_compiled(_F8(_DOSE, _WORK, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8, _F8))
def _gamma(
    dose: Any, boxes: Any, z: float, y: float, x: float, sz: float, sy: float, sx: float,
    own: float, limit: float, here: float, ceiling: float,
) -> float:  # fmt: skip
    """Gamma of one point. Without a ceiling (0): any value <= 1 if it passes, else 2."""
    scale = 1 / limit
    found = ((here - own) * scale) ** 2
    if found > _PASS:
        if not _out_of_reach(dose, z, y, x, 1 / sz, 1 / sy, 1 / sx, own, limit, here):
            found = _outwards(dose, boxes, z, y, x, sz, sy, sx, own, scale, _PASS + 1e-12, _PASS, EDGE)
        else:
            found = 2.0
    passed = found <= _PASS
    if ceiling == 0:
        return min(math.sqrt(found), 1.0) if passed else 2.0
    if passed:
        return min(math.sqrt(_outwards(dose, boxes, z, y, x, sz, sy, sx, own, scale, found, 0.0, MARGIN)), 1.0)
    found = min(((here - own) * scale) ** 2, ceiling * ceiling)
    far = ceiling
    if not _out_of_reach(dose, z, y, x, far / sz, far / sy, far / sx, own, far * limit, here):
        found = _outwards(dose, boxes, z, y, x, sz, sy, sx, own, scale, found, 0.0, MARGIN)
    return max(math.sqrt(found), _FAIL)


@_compiled(
    types.UniTuple(_I8, 2)(
        _DOSE, _LINE, _LINE, _LINE, _DOSE, _LINE, _TABLE, _F8, _F8, _F8, types.float32[:, :, ::1], types.int64[::1]
    )
)
def search(
    reference: Any, z_at: Any, y_at: Any, x_at: Any, dose: Any, spacing: Any, criteria: Any,
    top: float, floor: float, ceiling: float, out: Any, passed: Any,
) -> tuple[int, int]:  # fmt: skip
    """Gamma of every voxel of `reference` at or above `floor` (Gy) or NaN: (counted, of them lost).

    Arrays are [z, y, x]. `z_at`, `y_at`, `x_at`: where its voxels are in `dose`, in voxels; NaN outside. `spacing`: of
    `dose`, z, y, x in mm. `criteria`, a row each: dose difference as a fraction, of `top` (Gy) or, if the third number
    is not 0, of the point's own dose; distance in mm. Into `passed` go the points with gamma <= 1 for each criterion,
    into `out` the gamma of the first one: its value up to `ceiling`, or with a ceiling of 0 any value <= 1 or 2. Lost
    points, where either dose is NaN or `dose` does not cover the point, get the maximum value.
    """
    boxes = np.empty((_ROWS, 18))
    worst = ceiling if ceiling > 0 else 2.0
    counted, lost = 0, 0
    for k in range(reference.shape[0]):
        for j in range(reference.shape[1]):
            for i in range(reference.shape[2]):
                own = float(reference[k, j, i])
                good = math.isfinite(own)
                if good and own < floor:
                    continue
                counted += 1
                z, y, x = z_at[k], y_at[j], x_at[i]
                here = math.nan
                if good and math.isfinite(z + y + x):
                    here = _dose_at(dose, z, y, x)
                if not math.isfinite(here):
                    lost += 1
                    out[k, j, i] = worst
                    continue
                for number in range(criteria.shape[0]):
                    far = criteria[number, 1]
                    limit = max(criteria[number, 0] * (own if criteria[number, 2] != 0 else top), 1e-9 * top)
                    exact = ceiling if number == 0 else 0.0
                    sz, sy, sx = spacing[0] / far, spacing[1] / far, spacing[2] / far
                    gamma = _gamma(dose, boxes, z, y, x, sz, sy, sx, own, limit, here, exact)
                    passed[number] += gamma <= 1
                    if number == 0:
                        out[k, j, i] = gamma
    return counted, lost
