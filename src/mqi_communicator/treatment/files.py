"""Finds what machines recorded in files and folders, and reads it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, printable
from mqi_communicator.dicom.recorded import RecordedDelivery
from mqi_communicator.dicom.treatment_record import is_treatment_record, read_treatment_record


def read_deliveries(paths: Iterable[Path]) -> tuple[list[RecordedDelivery], list[Problem]]:
    """Read every treatment record among `paths` and in the folders among them, and the problems of those not read.

    Other files in folders are left out; a file that is itself among `paths` must be a record. Links are not followed.
    """
    deliveries: list[RecordedDelivery] = []
    problems: list[Problem] = []
    for path, named in _files(paths):
        try:
            if not named and not is_treatment_record(path):
                continue
            delivery, found = read_treatment_record(path)
        except DicomProblem as error:
            problems.append(as_problem(error))
        except OSError as error:
            found_text = f"the file cannot be read: {error.strerror}"
            problems.append(Problem("record.unreadable", printable(path.name), found_text, advice="Give another file."))
        else:
            problems += found
            deliveries += [] if found else [delivery]
    return deliveries, problems


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Each regular file once, and whether it was named itself."""
    seen: set[Path] = set()
    for path in paths:
        found = sorted(_below(path)) if path.is_dir() else [path]
        for one in found:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one, not path.is_dir()


def _below(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above) / name
            if path.is_file() and not path.is_symlink():
                yield path
