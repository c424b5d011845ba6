"""The input file of one run: the flavour's lines with their values. `reading.check_input` reads it back before it is
sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dose.moqui.flavour import Flavour

if TYPE_CHECKING:
    from mqi_communicator.dose.moqui.histories import Quota

COMMON = "../../input/common"  # relative to a run folder
DICOM = "dicom"
SPOT_LISTS = "spots"  # in common/ if written here, in the run folder if a step of the site writes them
OUTPUTS = "Outputs"
SEED_STEP = 1_000_003  # between the seeds of two runs: moqui gives spot k the seed + k, and no two may be the same


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """The values of the input file that come from machine and scanner."""

    machine: str = ""  # name of the beam file in common/
    gantry: int = 0
    calibration: str = "default"
    spots: str = ""  # folder of spot lists, from the run folder


def output_folder(seeds: int, run: int) -> str:
    """The folder that run number `run` (from 1) creates for its dose."""
    return OUTPUTS if seeds == 1 else f"{OUTPUTS}-{run}"


def temp_folder(run: int) -> str:
    """The folder that run number `run` uses for the work of several GPUs."""
    return f"gpu-work-{run}"


def input_name(run: int, gpus: int) -> str:
    """The file name of the input of run number `run` on this number of GPUs."""
    return f"input-run{run}-gpus{gpus}.txt"


def input_file(
    flavour: Flavour,
    place: ModelInputs,
    quota: Quota,
    *,
    beam: int,
    seed: int,
    output: str,
    dose_format: str,
    gpus: int,
    temp: str,
    more: Mapping[str, str] | None = None,
) -> bytes:
    """The input file of one run. Key and value with one blank between them; no comment, no empty line.

    `more`: lines of this beam alone.
    """
    lines = {**flavour.lines, **(flavour.several_gpus if gpus > 1 else {}), **(more or {})}
    values: Mapping[str, object] = {
        "batch": quota.batch,
        "beam": beam,
        "calibration": place.calibration,
        "dicom": f"{COMMON}/{DICOM}",
        "format": dose_format,
        "gantry": place.gantry,
        "gpu_ids": ",".join(map(str, range(gpus))),
        "gpus": gpus,
        "histories": quota.histories,
        "machine": f"{COMMON}/{place.machine}",
        "output": output,
        "particles_per_history": number(quota.particles_per_history),
        "seed": seed,
        "spots": place.spots,
        "temp": temp,
    }
    return "".join(f"{key} {value.format(**values)}\n" for key, value in lines.items()).encode("ascii")


def number(value: float) -> str:
    """Nine significant digits, the limit of single precision, without an exponent."""
    text = f"{value:.9g}"
    return f"{value:.12f}".rstrip("0") if "e-" in text else f"{value:.0f}" if "e" in text else text
