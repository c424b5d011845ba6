"""Reads an input file back as strictly as moqui reads it carelessly, before it is sent.

moqui ignores keys that it does not know, takes the first of two equal ones, cuts everything behind a #, knows no tab,
turns words that are no numbers into 0, and dies of a line of blanks. None of it may depend on what wrote the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dose.moqui.flavour import Flavour, Kind

_TYPES: Mapping[Kind, str] = {
    Kind.BEAM: r"[1-9][0-9]{0,4}",
    Kind.FORMAT: r"[a-z]+",
    Kind.IDS: r"[0-9]+(,[0-9]+)*",
    Kind.INT: r"-?[0-9]{1,10}",
    Kind.NUMBER: r"-?[0-9]+(\.[0-9]*)?",
    Kind.PATH: r"[^/~].*",
    Kind.TRUTH: r"true|false",
    Kind.WORD: r".+",
}
_EXPECTED: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "RandomSeed": (lambda value: int(value) >= 0, "0 or more: below it the clock may be taken"),
    "MaxHistoriesPerBatch": (lambda value: int(value) > 0, "more than 0: without batches there is no progress"),
    "ParticlesPerHistory": (lambda value: float(value) > 0, "more than 0"),
    "NormalizeTotalHistories": (lambda value: int(value) > 0, "more than 0"),
    "RBE": (lambda value: float(value) == 1, "1: the dose is physical"),
    "NumberOfFraction": (lambda value: int(value) == 1, "1: the dose is of one fraction"),
    "Scorer": (lambda value: value == "Dose", "Dose and nothing besides"),
    "SimulationType": (lambda value: value == "perBeam", "perBeam"),
    "OverwriteResults": (lambda value: value == "false", "false: an old dose must not pass for a new one"),
    "OutputDir": (lambda value: re.fullmatch(r"[A-Za-z0-9-]+", value) is not None, "a new folder in the run folder"),
    "StoppingStatistics": (lambda value: value == "false", "false: it knows no upper limit"),
}
_INPUT = "../../input/"


def check_input(text: bytes, flavour: Flavour, beams: Collection[int]) -> Mapping[str, str]:
    """The keys and values of an input file that this flavour will read as it is meant.

    `beams` are the numbers of the plan's treatment beams. Permanent, with the line, for anything that it would misread.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(_lines(text), start=1):
        try:
            key, value = _split(line, values)
            _check_value(key, value, flavour, beams)
        except ValueError as problem:
            raise Permanent(
                f"the input file for moqui ({flavour.name}) would be misread, line {number}: {problem}",
                "correct engine.flavours; if you changed nothing there, report it",
            ) from None
        values[key] = value
    if missing := sorted(flavour.required - set(values)):
        raise Permanent(
            f"the input file for moqui ({flavour.name}) lacks {', '.join(missing)}", "correct engine.flavours"
        )
    return values


def _lines(text: bytes) -> list[str]:
    if not text.endswith(b"\n") or not text.isascii():
        raise Permanent("the input file for moqui does not end its last line, or is not plain ASCII")
    return text[:-1].decode("ascii").split("\n")


def _split(line: str, before: Collection[str]) -> tuple[str, str]:
    if not line.strip():
        raise ValueError("nothing but blanks")
    if "#" in line:
        raise ValueError("a # begins a comment wherever it stands")
    parts = line.split(" ")
    if len(parts) != 2 or not all(parts) or re.search(r"[^!-~ ]", line):  # noqa: PLR2004 - key and value
        raise ValueError(f"{line!r} is not a key and a value with exactly one blank between them")
    if parts[0].lower() in {key.lower() for key in before}:
        raise ValueError(f"{parts[0]} stands here a second time, and the first counts")
    return parts[0], parts[1]


def _check_value(key: str, value: str, flavour: Flavour, beams: Collection[int]) -> None:
    kind = flavour.keys.get(key)
    if kind is None:
        raise ValueError(f"{key} is no key that it knows")
    if not re.fullmatch(_TYPES[kind], value):
        raise ValueError(f"{key} is {value!r}, which is no {kind.value}")
    meant, words = _EXPECTED.get(key, (None, ""))
    if meant is not None and not meant(value):
        raise ValueError(f"{key} is {value!r}, expected {words}")
    if kind is Kind.FORMAT and value not in flavour.formats:
        raise ValueError(f"{key} is {value!r}, expected one of {', '.join(flavour.formats)}")
    if kind is Kind.BEAM and int(value) not in beams:
        raise ValueError(f"{key} is {value}, which is no treatment beam of the plan")
    if kind is Kind.PATH and ".." in value.removeprefix(_INPUT).split("/"):
        raise ValueError(f"{key} is {value!r}, which leads out of the run folder and of {_INPUT}")
