"""A stand-in for moqui's `tps_env`: it reads the real input and DICOM with moqui's own bugs, says moqui's words in
their order, writes its files, and misbehaves on demand (see settings.FAULTS). Its dose looks like one and no more.

    python -m tests.standin.tps_env INPUT
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.standin import patient
from tests.standin.beamline import Device, devices_of_plan, kept
from tests.standin.machine import Spots, spots_of_lists, spots_of_plan
from tests.standin.parameters import Parameters
from tests.standin.physics import beam_dose
from tests.standin.program import Output, complain, die, say, say_until, throw
from tests.standin.saving import save
from tests.standin.settings import Settings, settings, witness

_TABLE = 2_400  # bytes of the table of histories
_LAST = 140  # bytes of what follows the scorers
_SCORERS = {"energydeposition", "dose", "letd", "lett", "dij", "tracklength"}


def main(argv: list[str]) -> None:
    """One run, from the input file to the end mark."""
    parameters = Parameters(argv[1] if len(argv) > 1 else "./moqui_tps.in")
    setting, began = settings(), time.monotonic()
    witness(setting.witness, "start")
    _gpus(parameters, setting)
    folder = _folders(parameters, setting)
    voxels, plan = _read(folder, parameters, setting)
    numbers = parameters.wholes("BeamNumbers")
    if not numbers:
        die(signal.SIGSEGV)
    if numbers == [0]:
        numbers = [n for n, item in enumerate(plan.IonBeamSequence, start=1) if item.BeamName != "Setup"]
    for number in numbers:
        _compute(number, voxels, plan, parameters, setting)
    time.sleep(max(0.0, setting.seconds - (time.monotonic() - began)))
    witness(setting.witness, "end")
    if setting.fault == "no-end":
        return
    took = 1000 * (time.monotonic() - began)
    say(
        f"Total execution time: {took / 1000:g} seconds"
        if setting.flavour == "clinic"
        else f"Time taken by MC engine: {took:g} milli-seconds"
    )


def _gpus(parameters: Parameters, setting: Settings) -> None:
    """The GPUs handed over are renumbered from 0; one that is not there cannot be had."""
    visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    if setting.fault == "cuda" or (setting.needs_gpu and not visible):
        say("CUDA error: (setup world) CUDA driver version is insufficient for CUDA runtime version")
        sys.exit(255)
    if setting.needs_gpu and parameters.whole("GPUID", 0) >= len(visible):
        say("CUDA error: (setup world) invalid device ordinal")
        sys.exit(255)
    several = parameters.truth("EnableBeamLayerMultiGpu", default=False)
    wanted = parameters.wholes("BeamLayerMultiGpuAllowedGpuIds") if several else []
    if setting.fault == "no-free-gpu" or (setting.needs_gpu and wanted and max(wanted) >= len(visible)):
        complain("No free GPU remains after BeamLayerMultiGpu filtering")
        sys.exit(1)


def _folders(parameters: Parameters, setting: Settings) -> str:
    """Make the output folder, one level only, and give the DICOM folder."""
    upstream = setting.flavour == "upstream"
    if upstream:
        say(f"master seed {parameters.whole('RandomSeed', -1)}")
    if not parameters.text("ParentDir"):
        throw("ParentDir is not provided")
    if upstream and any(
        word.strip().lower() not in _SCORERS for word in parameters.text("Scorer").split(",") if word.strip()
    ):
        throw("Unrecognized scorer name")
    output = parameters.text("OutputDir")
    if not output:
        throw("Output directory is not provided.")
    if Path(output).exists():
        if not parameters.truth("OverwriteResults", default=False):
            throw("Output directory exists.")
    elif Path(output).parent.is_dir() and os.access(Path(output).parent, os.W_OK):
        Path(output).mkdir()
    dicom = f"{parameters.text('ParentDir')}/{parameters.text('DicomDir')}"
    say(f"dicom dir {dicom}" if upstream else f"Reading DICOM directory.. : DICOM directory name --> {dicom}")
    return dicom


def _read(folder: str, parameters: Parameters, setting: Settings) -> tuple[patient.Voxels, Any]:
    slices, plans = patient.find(folder, only_dcm=setting.flavour != "upstream")
    voxels = patient.voxels(slices)
    nz, ny, nx = voxels.shape
    if setting.flavour == "upstream":
        say(f"CT (nx,ny,nz): ({nx}, {ny}, {nz})")
        say("There are multiple RTPLANs in the path. Selecting the first one")
    plan = patient.check_plan(plans, len(slices) + len(plans))
    if setting.flavour == "upstream":
        site = parameters.text("Machine").split(":", 1)[0].lower()
        say(f"machine_name: {parameters.text('Machine')}, mc_code: {parameters.text('Calibration', 'default')}")
        if site != "pbs":
            throw("Valid machine is not available.")
        say(f"n fraction {parameters.whole('NumberOfFraction', 1)} rbe {parameters.number('RBE', 1.1):f}")
        say(f"Number of beam selected {len(parameters.wholes('BeamNumbers'))}")
    return voxels, plan


def _compute(number: int, voxels: patient.Voxels, plan: Any, parameters: Parameters, setting: Settings) -> None:
    upstream = setting.flavour == "upstream"
    per_history = parameters.number("ParticlesPerHistory", -1.0)
    if setting.fault == "early-crash":
        die(signal.SIGSEGV)
    if upstream:
        say(f"bnb {number} seed {parameters.whole('RandomSeed', -1)}\ninitialization")
    item, name = patient.beam_of(plan, number)
    devices = _devices(item, parameters) if upstream else []
    spots = _spots(item, number, parameters, per_history, setting)
    if setting.fault == "out-of-bound":
        complain("out-of-bound")
    histories, per_count = spots.histories * (0 if setting.fault == "zero" else 1), 1.0
    if setting.flavour == "clinic" and histories.sum():
        per_count = float(histories.sum()) / parameters.whole("NormalizeTotalHistories", 500_000_000)
        histories = np.floor(histories / per_count).astype(np.int64)
    reported = int(histories.sum()) * (2 if setting.fault == "other-spots" else 1)
    if upstream:
        say(f"beamlets {len(histories)}\nhistories {reported}")
    else:
        say(f"Total beamlets (Spots) : {len(histories)}")
        say(f"Total histories (Particles) : {reported}")
    say_until(Output.bytes + _TABLE, f"{{n:6d}}  spot  of  {reported} particles")
    _transport(reported, parameters, setting)
    dose = _dose(item, spots, histories, voxels, parameters, setting, number, devices)
    say_until(setting.log_bytes - _LAST, "scorer {n:08d}")
    if upstream:
        scale = per_history * parameters.number("RBE", 1.1) * parameters.whole("NumberOfFraction", 1)
        say("finalizing\nfinalizing\nmax capacity 1")
    else:
        scale = per_count if setting.flavour == "clinic" else per_history
        say("finalizing")
    save(
        parameters.text("OutputDir"),
        f"{name}_{len(devices)}_{parameters.text('Scorer')}",
        dose * scale,
        voxels,
        parameters.text("OutputFormat"),
        setting,
    )
    if upstream:
        say("Reshape and save done 0.000100 s")


def _spots(item: Any, number: int, parameters: Parameters, per_history: float, setting: Settings) -> Spots:
    if setting.flavour == "upstream":
        return spots_of_plan(item, parameters.text("Machine").split(":", 1)[1], per_history)
    folder = f"{parameters.text('ParentDir')}/{parameters.text('logFilePath')}"
    return spots_of_lists(folder, number, 1.0 if setting.flavour == "clinic" else per_history)


def _devices(item: Any, parameters: Parameters) -> list[Device]:
    """What it builds between source and patient. The patient is counted behind them in the dose's name."""
    file = Path(parameters.text("Machine").split(":", 1)[1])
    text = file.read_text() if file.is_file() else ""
    return devices_of_plan(item, text, parameters.number("RangeshifterDensity", 1.19))


def _transport(histories: int, parameters: Parameters, setting: Settings) -> None:
    """The words of all batches."""
    size = parameters.whole("MaxHistoriesPerBatch", 0) or max(histories, 1)
    batches, done = -(-histories // size), 0
    if setting.flavour == "upstream":
        say(f"Run by beam\nUpload {size} histories per batch, {batches} batches expected")
    for batch in range(batches):
        here = min(size, histories - done)
        done += here
        if setting.flavour == "upstream":
            say(f"Generating particles...\nBeam generation 0.000100 s\ncum_vertiex {done} {here}")
            say("Transporting particles...\nRun transportation 0.000200 s")
        else:
            say(f"Generating particles for ({batch + 1} of {batches} batches) in CPU ..\nParticle generation complete!")
            say("Transporting particles...")
        time.sleep(setting.seconds / max(batches, 1) / 2)
        if batch == batches // 2:
            _misbehave(setting.fault)
        if setting.flavour != "upstream":
            say("Particle transportation complete!")
    if setting.flavour == "upstream":
        say(f"cum vertex {done} total histories {histories}\nNumber of particles tracked {histories}")


def _misbehave(fault: str) -> None:
    match fault:
        case "hang":
            while True:
                time.sleep(1)
        case "killed":
            die(signal.SIGKILL)
        case "terminated":
            die(signal.SIGTERM)
        case "cuda-memory":
            complain("GPUassert: out of memory mqi_upload_data.hpp 90")
            sys.exit(2)


def _dose(
    item: Any,
    spots: Spots,
    histories: np.ndarray,
    voxels: patient.Voxels,
    parameters: Parameters,
    setting: Settings,
    number: int,
    devices: list[Device],
) -> np.ndarray:
    """Gy of one fraction per particle per history, with noise by the seed."""
    if not histories.sum():
        return np.zeros(voxels.shape)
    aim = item.IonControlPointSequence[0]
    dose = beam_dose(
        voxels,
        spots,
        histories.astype(float),
        isocentre=tuple(float(value) for value in aim.IsocenterPosition),  # type: ignore[arg-type]
        gantry=float(aim.GantryAngle),
        couch=float(aim.PatientSupportAngle),
        start=float(aim.SnoutPosition) + (50.0 if setting.flavour == "upstream" else 0.0),
        devices=devices,
    )
    dose = dose * kept(devices, [float(value) for value in aim.IsocenterPosition])
    seed = 0 if setting.fault == "seed-blind" else abs(parameters.whole("RandomSeed", -1))
    rng = np.random.default_rng([seed, number])
    relative = setting.noise / np.sqrt(histories.sum() * np.maximum(dose / dose.max(), 1e-6))
    return np.asarray(np.maximum(dose * (1 + np.minimum(relative, 1.0) * rng.standard_normal(dose.shape)), 0.0))


if __name__ == "__main__":
    main(sys.argv)
