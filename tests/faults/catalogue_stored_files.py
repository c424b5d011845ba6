"""Bits that change where they lie, and files that lose their end.

The case may fail with a message; none of its data may be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from pydicom import dcmread

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed

PATIENCE_S = 60.0  # a target exists once per case, for a moment


@fault("input spoiled there", corrupts=True)
def input_there(testbed: Testbed, random: Random) -> Iterator[None]:
    """Bits flip in the CT on the host, before or during the computation."""
    _spoil_ct(testbed, random, "remote*/cases/*/input/**/CT*.dcm", key_at=2)
    yield


@fault("input spoiled here", corrupts=True)
def input_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """Bits flip in the engine's input that is ready for upload."""
    _spoil_ct(testbed, random, "workspace/spool/*/input/**/CT*.dcm", key_at=2)
    yield


@fault("admitted file spoiled here", corrupts=True)
def admitted_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """Bits flip in the admitted CT in the spool."""
    _spoil_ct(testbed, random, "workspace/spool/*/case/*.dcm", key_at=2)
    yield


@fault("product spoiled there", corrupts=True)
def product_there(testbed: Testbed, random: Random) -> Iterator[None]:
    """A bit flips in a product on the host after the job has computed its digest."""
    _spoil_one(testbed, random, "remote*/cases/*/runs/*/**/*.raw", 2, lambda path: _run_of(path, "products.sha256"))
    yield


@fault("product cut there", corrupts=True)
def product_cut(testbed: Testbed, random: Random) -> Iterator[None]:
    """A product on the host is truncated after the job has computed its digest."""
    _spoil_one(
        testbed, random, "remote*/cases/*/runs/*/**/*.raw", 2, lambda path: _run_of(path, "products.sha256"), cut=True
    )
    yield


@fault("product spoiled here", corrupts=True)
def product_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """A bit flips in a product that was fetched."""
    _spoil_one(testbed, random, "workspace/spool/*/back/*/**/*.raw", 2, lambda _: True)
    yield


@fault("kept dose spoiled here", corrupts=True)
def dose_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """A bit flips in an accepted dose that is kept for the comparison."""
    _spoil_one(testbed, random, "workspace/spool/*/dose/beam-*.npy", 2, lambda path: ".aside" not in path.name)
    yield


@fault("result spoiled here", corrupts=True)
def result_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """A bit flips in a result that is ready for delivery."""
    _spoil_one(testbed, random, "workspace/spool/*/results/dose/beam-*.dcm", 2, lambda _: True)
    yield


def _run_of(path: Path, name: str) -> bool:
    """Whether the run that a product belongs to has this file."""
    return any((folder / name).exists() for folder in path.parents if folder.parent.name == "runs")


def _spoil_one(
    testbed: Testbed, random: Random, pattern: str, key_at: int, wanted: Callable[[Path], bool], *, cut: bool = False
) -> None:
    path = _wait_for(testbed, random, pattern, wanted, key_at)
    if path is None:
        testbed.missed = True
        return
    with suppress(OSError), path.open("r+b") as file:
        size = path.stat().st_size
        if cut:
            file.truncate(size // 2)
            return
        at = random.randrange(size * 3 // 4, size)  # the data, not a header
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x40]))


def _spoil_ct(testbed: Testbed, random: Random, pattern: str, key_at: int) -> None:
    """Flip bits in the first voxel of each slice, which holds the case number for the stand-in engine."""
    path = _wait_for(testbed, random, pattern, _is_ct, key_at)
    testbed.missed = path is None
    for other in sorted(path.parent.iterdir()) if path is not None else ():
        with suppress(OSError):
            if _is_ct(other):
                ds = dcmread(other, stop_before_pixels=True)
                with other.open("r+b") as file:
                    file.seek(other.stat().st_size - 2 * ds.Rows * ds.Columns)
                    byte = file.read(1)
                    file.seek(-1, 1)
                    file.write(bytes([byte[0] ^ 0x10]))


def _is_ct(path: Path) -> bool:
    with suppress(Exception):
        return bool(dcmread(path, stop_before_pixels=True).Modality == "CT")
    return False


def _wait_for(
    testbed: Testbed, random: Random, pattern: str, wanted: Callable[[Path], bool], key_at: int
) -> Path | None:
    """A file of a case that is under way; None if there was none in a while. Its case is noted as spoiled."""
    found: list[Path] = []

    def look() -> bool:
        live = {
            key
            for (key,) in testbed.look_up(
                "select key from cases join work_items on key = work_items.'case' where beam = 0 and step != 'tidy' "
                "and status in ('ready', 'waiting')"
            )
        }
        found[:] = [
            path
            for path in sorted(testbed.folder.glob(pattern))
            if path.relative_to(testbed.folder).parts[key_at] in live and wanted(path)
        ]
        return bool(found)

    if not testbed.until(look, PATIENCE_S):
        return None
    path = random.choice(found)
    testbed.damaged.add(testbed.number_of(path.relative_to(testbed.folder).parts[key_at]))
    return path
