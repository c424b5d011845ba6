"""What one build of moqui reads, writes and prints, as data: sites run their own forks.

`lines` are the input file: key and value in the order in which they are written, with placeholders. `keys` are all keys
that the program reads, with the types of their values: it ignores unknown keys silently, so that a misspelt key means
its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PLACEHOLDERS = frozenset(
    {
        "batch",  # histories per batch
        "beam",  # the number of the beam
        "calibration",  # the scanner's
        "dicom",  # folder of CT and plan, from the run folder
        "format",  # of the dose
        "gantry",  # the machine's
        "gpu_ids",  # 0,1,2 for those of the job
        "gpus",  # their number
        "histories",  # requested of one run
        "machine",  # the machine's beam file, from the run folder
        "output",  # folder of the dose, which the program makes
        "particles_per_history",
        "seed",
        "spots",  # folder of spot lists, from the run folder
        "temp",  # folder for work of several GPUs
    }
)


class Kind(StrEnum):
    """The type of a value."""

    BEAM = "beam"
    FORMAT = "format"
    IDS = "ids"
    INT = "int"
    NUMBER = "number"
    PATH = "path"
    TRUTH = "truth"
    WORD = "word"


class Origin(StrEnum):
    """Which point of the first voxel the Offset of an .mhd is. Builds of upstream differ in it."""

    CENTRE = "centre"
    EDGE = "edge"
    EITHER = "either"


class Scale(StrEnum):
    """What makes the dose absolute."""

    RATIO = "ratio"  # spot weights in MU times the beam file's ratio, in protons per MU
    COUNTS = "counts"  # counts per spot chosen here, times declared protons per MU
    DECLARED = "declared"  # only a factor that the site declares


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """A line by which the program reports a failure. Group 1 of the pattern, if there is one, is its message."""

    pattern: str  # searched with MULTILINE
    retryable: bool = False
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One build of moqui. Patterns are regular expressions, searched with MULTILINE in what the program printed."""

    name: str
    keys: Mapping[str, Kind]
    lines: Mapping[str, str]
    required: frozenset[str]
    formats: tuple[str, ...]  # the first is requested unless the site configures another
    product: str  # path of the dose without its suffix, with the placeholders {output}, {name} and {devices}
    end: str
    histories: str  # group 1: how many it will compute
    done: str  # group 1: how many it has generated
    batch: str  # groups 1 and 2: this batch, and their number; "" if `done` gives the progress
    computed: str  # printed when everything has been transported
    error_patterns: tuple[ErrorPattern, ...]
    origin: Origin
    scale: Scale
    start: float  # mm upstream of the snout, where its protons start
    several_gpus: Mapping[str, str]  # additional lines for a beam with several GPUs; empty: it uses one
    answer: str = ""  # format in which the dose is read, if a later step converts it; "": as requested

    @property
    def reads_spots(self) -> bool:
        """Whether it takes its spots from lists beside the plan, instead of from the plan."""
        return any("{spots}" in value for value in self.lines.values())

    @property
    def reads_beam_file(self) -> bool:
        """Whether the machine is described by a beam file, or built into the program."""
        return any("{machine}" in value for value in self.lines.values())

    @property
    def physical(self) -> bool:
        """Whether a dose without RBE and of one fraction can be requested."""
        return {"RBE", "NumberOfFraction"} <= set(self.lines)
