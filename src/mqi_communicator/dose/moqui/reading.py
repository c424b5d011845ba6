"""Read an input file back strictly before it is sent, because moqui reads it carelessly.

moqui ignores unknown keys, takes the first of two equal ones, drops everything after a #, does not accept tabs, reads
text that is not a number as 0, and crashes at a line of blanks. So this check is independent of what wrote the file.
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
    "RandomSeed": (lambda value: int(value) >= 0, "0 or more: below 0 the clock may be taken"),
    "MaxHistoriesPerBatch": (lambda value: int(value) > 0, "more than 0: without batches no progress is printed"),
    "ParticlesPerHistory": (lambda value: float(value) > 0, "more than 0"),
    "NormalizeTotalHistories": (lambda value: int(value) > 0, "more than 0"),
    "RBE": (lambda value: float(value) == 1, "1: the dose is physical"),
    "NumberOfFraction": (lambda value: int(value) == 1, "1: the dose is of one fraction"),
    "Scorer": (lambda value: value == "Dose", "Dose and nothing else"),
    "SimulationType": (lambda value: value == "perBeam", "perBeam"),
    "OverwriteResults": (lambda value: value == "false", "false: an old dose must not be taken for a new one"),
    "OutputDir": (lambda value: re.fullmatch(r"[A-Za-z0-9-]+", value) is not None, "a new folder in the run folder"),
    "StoppingStatistics": (lambda value: value == "false", "false: it has no upper limit"),
}
_INPUT = "../../input/"


def check_input(text: bytes, flavour: Flavour, beams: Collection[int]) -> Mapping[str, str]:
    """The keys and values of an input file that this flavour reads correctly.

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
                "correct engine.flavours; if you did not change it, report this",
            ) from None
        values[key] = value
    if missing := sorted(flavour.required - set(values)):
        raise Permanent(
            f"the input file for moqui ({flavour.name}) lacks {', '.join(missing)}", "correct engine.flavours"
        )
    return values


def _lines(text: bytes) -> list[str]:
    if not text.endswith(b"\n") or not text.isascii():
        raise Permanent("the input file for moqui does not end with a line break, or is not ASCII")
    return text[:-1].decode("ascii").split("\n")


def _split(line: str, before: Collection[str]) -> tuple[str, str]:
    if not line.strip():
        raise ValueError("only blanks")
    if "#" in line:
        raise ValueError("a # begins a comment")
    parts = line.split(" ")
    if len(parts) != 2 or not all(parts) or re.search(r"[^!-~ ]", line):  # noqa: PLR2004 - key and value
        raise ValueError(f"{line!r} is not a key and a value with exactly one blank between them")
    if parts[0].lower() in {key.lower() for key in before}:
        raise ValueError(f"{parts[0]} is repeated here, and the first counts")
    return parts[0], parts[1]


def _check_value(key: str, value: str, flavour: Flavour, beams: Collection[int]) -> None:
    kind = flavour.keys.get(key)
    if kind is None:
        raise ValueError(f"{key} is not a key that it knows")
    if not re.fullmatch(_TYPES[kind], value):
        raise ValueError(f"{key} is {value!r}, which is not of the type {kind.value}")
    meant, words = _EXPECTED.get(key, (None, ""))
    if meant is not None and not meant(value):
        raise ValueError(f"{key} is {value!r}, expected {words}")
    if kind is Kind.FORMAT and value not in flavour.formats:
        raise ValueError(f"{key} is {value!r}, expected one of {', '.join(flavour.formats)}")
    if kind is Kind.BEAM and int(value) not in beams:
        raise ValueError(f"{key} is {value}, which is not a treatment beam of the plan")
    if kind is Kind.PATH and ".." in value.removeprefix(_INPUT).split("/"):
        raise ValueError(f"{key} is {value!r}, which is outside the run folder and {_INPUT}")
