"""A sample plan and records of its delivery, for tests of every tier."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample import sample_files
from mqi_communicator.demo.sample_case import Uids, encode
from mqi_communicator.demo.sample_records import record_of
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.recorded import RecordedDelivery
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.treatment.files import read_deliveries
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions


@cache
def plan_bytes(vendor: str = "") -> bytes:
    """The plan of the tiny sample, or of a vendor's."""
    files = sample_files("pass", "tiny", vendor=vendor)
    return next(data for data in files.values() if b"1.2.840.10008.5.1.4.1.1.481.8" in data[:700])


def plan_in(folder: Path, vendor: str = "") -> tuple[Path, IonPlan]:
    """The same, written into a folder, and read."""
    path = folder / "plan.dcm"
    path.write_bytes(plan_bytes(vendor))
    return path, sound_plan(path)


def records(plan: IonPlan, kind: str = "good", fraction: int = 1, seed: int = 1, vendor: str = "") -> list[Dataset]:
    """The records of one fraction as pydicom data sets."""
    like = pydicom.dcmread(io.BytesIO(plan_bytes(vendor)))
    uids = Uids(f"{kind}|{seed}")
    made = sessions_of(plan, fraction, kind, seed)
    return [record_of(session, like, uids.of(fraction, number)) for number, session in enumerate(made)]


def write(folder: Path, data: list[Dataset]) -> list[Path]:
    """Write data sets as record-N.dcm."""
    paths = []
    for number, one in enumerate(data, start=1):
        paths.append(folder / f"record-{number}.dcm")
        paths[-1].write_bytes(encode(one))
    return paths


def read(
    paths: list[Path], plan: IonPlan, calibrations: Mapping[str, SumitomoOptions]
) -> tuple[list[RecordedDelivery], list[Problem]]:
    """What is recorded below `paths`, and the problems of what is refused."""
    deliveries, refused = read_deliveries(paths, plan, calibrations)
    return deliveries, [problem for one in refused for problem in one.problems]
