"""Finds what machines recorded in files and folders, and reads it: treatment records, and logs of one vendor each."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, printable
from mqi_communicator.dicom.recorded import RecordedDelivery
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.dicom.treatment_record import is_treatment_record, read_treatment_record
from mqi_communicator.treatment.fractions import Refused
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions
from mqi_communicator.treatment.sumitomo.reader import is_delivery, read_folder


def read_deliveries(
    paths: Iterable[Path], plan: IonPlan, calibrations: Mapping[str, SumitomoOptions]
) -> tuple[list[RecordedDelivery], list[Refused]]:
    """Read every treatment record and every folder of logs among and below `paths`; those with problems are refused.

    Other files in folders are left out; a file that is itself among `paths` must be a record, and what cannot be read
    may be one. Links are not followed.
    `calibrations` of logs: by TreatmentMachineName.
    """
    deliveries: list[RecordedDelivery] = []
    refused: list[Refused] = []

    def unreadable(error: OSError) -> None:
        name, reason = printable(Path(str(error.filename)).name), f"it cannot be read: {error.strerror}"
        refused.append(
            Refused((Problem("record.unreadable", name, reason, advice="Make it readable, or give another."),))
        )

    for path, named in _found(paths, unreadable):
        try:
            if path.is_dir():
                delivery, found = read_folder(path, plan, calibrations)
            elif named or is_treatment_record(path):
                delivery, found = read_treatment_record(path)
            else:
                continue
        except DicomProblem as error:
            refused.append(Refused((as_problem(error),)))
        except OSError as error:
            unreadable(OSError(error.errno, error.strerror, str(path)))
        else:
            known = () if delivery is None else (delivery,)
            if found:
                refused.append(Refused(tuple(found), known))
            else:
                deliveries += known
    return deliveries, refused


def _found(paths: Iterable[Path], unreadable: Callable[[OSError], None]) -> Iterator[tuple[Path, bool]]:
    """Each regular file outside of folders of logs and each of these folders once, and whether it was named itself."""
    seen: set[Path] = set()
    for path in paths:
        for one in sorted(_below(path, unreadable)) if path.is_dir() else [path]:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one, one == path


def _below(folder: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    for above, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(above)
        try:
            if is_delivery(here):
                folders.clear()
                found = [here]
            else:
                found = [here / name for name in names if stat.S_ISREG((here / name).lstat().st_mode)]
        except OSError as error:
            unreadable(error)
        else:
            yield from found
