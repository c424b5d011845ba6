"""Cases that are distinguishable by their dose: a tiny sample of three beams, its number in each slice's first voxel.

Their CT is tissue throughout: air would be cut off before it is sent, and dose in it set to zero.

There is no planned dose: comparing is not what a fleet tries out.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset, dcmread

from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample_case import Draft, Uids, encode
from mqi_communicator.demo.sample_images import add_ct, add_structures
from mqi_communicator.demo.sample_kinds import uids_of
from mqi_communicator.demo.sample_plan import add_plan
from mqi_communicator.demo.sample_records import record_of
from mqi_communicator.demo.truth import STANDARD, TINY
from mqi_communicator.dicom.plan import sound_plan
from tests.fleet import noisy

MOST = 3000
BEAMS = (1, 2, 3)
SIZE = replace(TINY, fields=STANDARD.fields)


@cache
def _template(beams: tuple[int, ...] = BEAMS) -> dict[str, Dataset]:
    fields = tuple(field for field in SIZE.fields if field.number in beams)
    draft = Draft(replace(SIZE, fields=fields), uids_of("pass", "tiny", 1))
    add_ct(draft)
    add_structures(draft)
    add_plan(draft)
    return {name: draft.object(name) for name in sorted(draft.files)}


def case_files(number: int, beams: tuple[int, ...] = BEAMS) -> dict[str, bytes]:
    """The files of case `number` (1 to MOST). All UIDs are unique to it. `noisy.NUMBERS` have a planned dose."""
    if number in noisy.NUMBERS:
        return noisy.noisy_files(number)
    if not 1 <= number <= MOST:
        raise ValueError(f"a fleet has cases 1 to {MOST}")
    files = {}
    for name, template in _template(beams).items():
        ds = copy.deepcopy(template)
        _rename(ds, number)
        if name.startswith("CT."):
            ds.PixelData = number.to_bytes(2, "little", signed=True) + bytes(len(ds.PixelData) - 2)
        files[name] = encode(ds)
    return files


def plan_uid(number: int) -> str:
    """The SOP Instance UID of the case's plan."""
    if number in noisy.NUMBERS:
        return noisy.noisy_plan_uid(number)
    return _own(str(_template()["RP.dcm"].SOPInstanceUID), number)


def _rename(ds: Dataset, number: int) -> None:
    for element in _uids(ds):
        if str(element.value).startswith("2.25."):
            element.value = _own(str(element.value), number)


def _uids(ds: Dataset) -> Iterator:  # type: ignore[type-arg]
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from _uids(item)
        elif element.VR == "UI" and element.value:
            yield element


def _own(uid: str, number: int) -> str:
    reported = hashlib.sha256(f"{number}|{uid}".encode()).digest()
    return f"2.25.{int.from_bytes(reported[:16], 'big')}"


def record_files(number: int, fraction: int) -> dict[str, bytes]:
    """The record of one fraction of a case as it was planned, by file name."""
    files = case_files(number)
    with TemporaryDirectory() as folder:
        path = Path(folder, "RP.dcm")
        path.write_bytes(files["RP.dcm"])
        plan = sound_plan(path)
    like, uids = dcmread(BytesIO(files["RP.dcm"])), Uids(f"record|{number}")
    made = sessions_of(plan, fraction, seed=number)
    return {
        f"RT.{fraction}.{at}.dcm": encode(record_of(session, like, uids.of(fraction, at)))
        for at, session in enumerate(made, start=1)
    }


def write_case(watch: Path, number: int, name: str = "", beams: tuple[int, ...] = BEAMS) -> Path:
    """Move case `number` into the watched folder, with one rename."""
    making = watch.parent / f"making-{number}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for file, data in case_files(number, beams).items():
        (making / file).parent.mkdir(parents=True, exist_ok=True)
        (making / file).write_bytes(data)
    return making.rename(watch / (name or f"case {number:04d}"))
