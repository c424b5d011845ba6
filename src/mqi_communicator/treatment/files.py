"""Finds what machines recorded in files and folders, and reads it: treatment records, and logs of one vendor each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, printable
from mqi_communicator.dicom.recorded import RecordedDelivery
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.dicom.treatment_record import is_treatment_record, read_treatment_record
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions
from mqi_communicator.treatment.sumitomo.reader import is_delivery, read_folder


def read_deliveries(
    paths: Iterable[Path], plan: IonPlan, calibrations: Mapping[str, SumitomoOptions]
) -> tuple[list[RecordedDelivery], list[Problem]]:
    """Read every treatment record and every folder of logs among and below `paths`, and the problems of those not read.

    Other files in folders are left out; a file that is itself among `paths` must be a record. Links are not followed.
    `calibrations` of logs: by TreatmentMachineName.
    """
    deliveries: list[RecordedDelivery] = []
    problems: list[Problem] = []
    for path, named in _found(paths):
        try:
            if path.is_dir():
                delivery, found = read_folder(path, plan, calibrations)
            elif named or is_treatment_record(path):
                delivery, found = read_treatment_record(path)
            else:
                continue
        except DicomProblem as error:
            problems.append(as_problem(error))
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
            problems.append(Problem("record.unreadable", printable(path.name), reason, advice="Give another file."))
        else:
            problems += found
            deliveries += [delivery] if delivery is not None and not found else []
    return deliveries, problems


def _found(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Each regular file outside of folders of logs and each of these folders once, and whether it was named itself."""
    seen: set[Path] = set()
    for path in paths:
        for one in sorted(_below(path)) if path.is_dir() else [path]:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one, one == path


def _below(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder):
        if is_delivery(Path(above)):
            folders.clear()
            yield Path(above)
            continue
        for name in names:
            path = Path(above) / name
            if path.is_file() and not path.is_symlink():
                yield path
