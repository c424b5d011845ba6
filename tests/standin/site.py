"""A site whose moqui is the stand-in: its program on disk, its beam file, and cases whose planned dose is the
stand-in's own truth, so that a recalculation by it agrees."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from mqi_communicator.demo.phantom import hounsfield, in_body
from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_images import add_ct, add_doses, add_structures
from mqi_communicator.demo.sample_kinds import apply, uids_of
from mqi_communicator.demo.sample_plan import add_plan
from mqi_communicator.demo.sample_shifters import THIN, THIN_WET
from mqi_communicator.demo.truth import FRACTIONS, MACHINE, SIZES, Size
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import Beam
from mqi_communicator.dose.models import read_calibrations, read_machines
from mqi_communicator.dose.moqui.engine import Moqui
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.options import AnyMachine, AnyScanner, EngineOptions
from tests.standin.beamline import Block, Device, Slab
from tests.standin.machine import Spots, beam_file, between, factor
from tests.standin.patient import Voxels
from tests.standin.physics import beam_dose

ROOT = Path(__file__).resolve().parents[2]
SCANNER = "MQI SAMPLE|SYNTHETIC CT|DEMO"
MANUFACTURER = "MQI SAMPLE"
WHO, WHEN = "nobody: a test", "2026-01-01"
SNOUT = 410.0  # mm, of the samples
PROTONS_PER_COUNT = 1.0e8  # where the factors built into a fork are 1: per MU
COUNTS_PER_MU = 4.67e7
ENERGIES = (70.0, 230.0)
WITH_DEVICES = ("range-shifter", "aperture", "aperture-patient-side")
SHIFTER = {"wet": 40.0, "material": 64, "density": 1.2, "distance": "plan", "travel": [50.0, 450.0]}
_ROWS = "\n".join(
    f"{e} {e + 0.3} {0.006 * e:.3f} 4.0 4.0 0.002 0.002 {1.2e8 * (e / 100) ** 0.7:.6g}" for e in range(70, 240, 10)
)
BEAM_FILE = (
    "# a beam file that describes no machine\n[geometry]\nSAD(mm) 2234.8 1859.1\nrangeshifter(mm) 300 300\n"
    f"rangeshifter_snout_gap(mm) 10\naperture(mm) 300 300\n\n[spot]\n# e E dE x y xp yp ratio\n{_ROWS}\n"
    "[time]\nE(sec) 1.0\nI(nA) 2.0\ndT_up(ms) 1\ndT_down(ms) 1\nset_x(ms) 1\nset_y(ms) 1\n"
    "velocity_x(m/sec) 10\nvelocity_y(m/sec) 10\n"
).encode()


def install(folder: Path, **setting: Any) -> Path:
    """Write the program `tps_env` into a folder, with its settings (see settings.Settings) beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "tps_env"
    (folder / "tps_env.json").write_text(json.dumps(setting))
    program.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH='{ROOT / 'src'}:{ROOT}' PYTHONDONTWRITEBYTECODE=1 TPS_ENV_SETTINGS='{folder / 'tps_env.json'}' "
        f"exec '{sys.executable}' -m tests.standin.tps_env \"$@\"\n"
    )
    program.chmod(0o755)
    return program


def sections(
    program: Path, beam_file_at: Path, flavour: str = "upstream", *, devices: bool = False, **engine: Any
) -> dict[str, Any]:
    """The sections of a configuration that make the samples computable with the stand-in. Writes the beam file.

    `devices`: whether range shifters and apertures are commissioned.
    """
    beam_file_at.write_bytes(BEAM_FILE)
    signed = {"commissioned_by": WHO, "commissioned_on": WHEN}
    machine: dict[str, Any] = {"beam_model": str(beam_file_at), "sha256": hashlib.sha256(BEAM_FILE).hexdigest()}
    if devices:
        by_field = signed | {"measured": "none: a test"}
        machine["moqui"] = {"devices": {"range_shifters": by_field, "apertures": by_field}}
        machine["range_shifters"] = {"RS": SHIFTER | signed, THIN: SHIFTER | signed | {"wet": THIN_WET}}
    if flavour != "upstream":
        machine = {"gantry": 2, "energies": list(ENERGIES)}
    if flavour == "fork":
        machine["protons_per_mu"] = PROTONS_PER_COUNT
    if flavour == "clinic":
        machine |= {"counts_per_mu": COUNTS_PER_MU, "dose_factor": PROTONS_PER_COUNT / COUNTS_PER_MU}
    return {
        "engine": {"kind": "moqui", "program": str(program), "flavour": flavour, **engine},
        "machines": {MACHINE: machine | signed},
        "scanners": {SCANNER: {"calibration": "default"} | signed},
        "dose_conventions": {MANUFACTURER: {"medium": "water", "biology": "physical", "extent": "course"}},
    }


def engine(sections: dict[str, Any]) -> Moqui:
    """The engine of these sections, read as strictly as the configuration reads them."""
    options = TypeAdapter(EngineOptions).validate_json(json.dumps(sections["engine"]), strict=True)
    machines = TypeAdapter(dict[str, AnyMachine]).validate_json(json.dumps(sections["machines"]), strict=True)
    scanners = TypeAdapter(dict[str, AnyScanner]).validate_json(json.dumps(sections["scanners"]), strict=True)
    assert isinstance(options, MoquiOptions)
    return Moqui(options, read_machines(machines), read_calibrations(scanners))


def protons_per_mu(energy: float, flavour: str = "upstream") -> tuple[float, float, float]:
    """(protons per MU, mean energy in MeV, sigma in mm) at a nominal energy."""
    if flavour != "upstream":
        return PROTONS_PER_COUNT * factor(energy), energy, 4.0
    row = between(beam_file(BEAM_FILE.decode())[1], np.float32(energy))
    return float(row[7]), float(row[1]), float(row[3])


def true_dose(beam: Beam, voxels: Voxels, flavour: str = "upstream", snout: float = SNOUT) -> np.ndarray:
    """Gy of one fraction without noise, from the truth itself: no DICOM, no input file, no histories."""
    sad = (2234.8, 1859.1) if flavour == "upstream" else (2597.0, 2223.0)
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    for layer in beam.layers:
        protons, mean, sigma = protons_per_mu(layer.energy, flavour)
        count = len(layer.weights)
        made = (np.full(count, mean), layer.spots[:, 0], layer.spots[:, 1], np.full(count, sigma))
        for column, values in zip(columns, (*made, layer.weights * beam.mu_per_weight * protons), strict=True):
            column.append(np.asarray(values, float))
    energy, x, y, spread, weights = (np.concatenate(column) for column in columns)
    spots = Spots(energy, x, y, spread, weights.astype(np.int64), sad)
    start = snout + (50.0 if flavour == "upstream" else 0.0)
    where, body = around_the_body(voxels)
    gy = np.zeros(voxels.shape)
    gy[where] = beam_dose(
        body,
        spots,
        weights,
        isocentre=beam.isocenter,
        gantry=beam.gantry_angle,
        couch=beam.couch_angle,
        start=start,
        devices=true_devices(beam, sad),
    )
    return gy


def true_devices(beam: Beam, sad: tuple[float, float]) -> list[Device]:
    """The range shifter of a beam's first layer and its apertures where they really are: no fault of moqui."""
    made: list[Device] = []
    for one in beam.layers[0].shifters:
        if one.setting == "IN":
            bottom, wet = one.distance or 0.0, one.wet or 0.0
            made.append(Slab(bottom, bottom + wet / 1.15, (150.0, 150.0), wet))
    for block in beam.apertures:
        bottom = block.distance - (block.thickness if block.mounting == "PATIENT_SIDE" else 0.0)
        scale = [1 - bottom / one for one in sad]
        made.append(Block(bottom, bottom + block.thickness, (150.0, 150.0), block.outlines[-1] * scale))
    return made


def around_the_body(voxels: Voxels) -> tuple[tuple[slice, slice, slice], Voxels]:
    """Where the body of a sample is, in all slices, with 10 mm around it; and these voxels alone, in a vacuum."""
    solid: np.ndarray = np.any(voxels.hu > -900, axis=0)
    where, first = [slice(None)], [voxels.first[2]]
    for across, k in ((1, 1), (0, 0)):
        found, margin = np.flatnonzero(np.any(solid, axis=across)), math.ceil(10.0 / voxels.step[k])
        low = max(0, int(found[0]) - margin)
        where.append(slice(low, int(found[-1]) + 1 + margin))
        first.append(voxels.first[k] + low * voxels.step[k])
    hu = voxels.hu[tuple(where)]
    return (where[0], where[1], where[2]), Voxels(hu.shape, (first[2], first[1], first[0]), voxels.step, hu)


def planned(size: Size, flavour: str = "upstream", beams: tuple[Beam, ...] | None = None) -> dict[int, np.ndarray]:
    """Course dose per beam number on the planned dose's grid, zero outside the body, as planning systems export it."""
    grid = size.computed
    voxels = Voxels(grid.shape, grid.origin, grid.spacing, hounsfield(grid))
    mz, my, mx = size.margin
    inner = (slice(mz, -mz), slice(my, -my), slice(mx, -mx))
    body = in_body(grid)
    return {b.number: (true_dose(b, voxels, flavour) * body)[inner] * FRACTIONS for b in beams or size.beams()}


def _read_beams(draft: Draft) -> tuple[Beam, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "RP.dcm"
        path.write_bytes(encode(draft.object("RP.dcm")))
        return sound_plan(path).beams


def sample_files(kind: str = "pass", size: str = "tiny", seed: int = 1, flavour: str = "upstream") -> dict[str, bytes]:
    """A sample case of the demo's, its planned doses replaced by the stand-in's truth; bytes by file name.

    Devices in the beam are in its planned doses.
    """
    draft = Draft(SIZES[size], uids_of(kind, size, seed))
    add_ct(draft)
    add_structures(draft)
    add_plan(draft)
    if kind in WITH_DEVICES:
        apply(kind, draft)
        add_doses(draft, planned(draft.size, flavour, _read_beams(draft)))
    else:
        add_doses(draft, planned(draft.size, flavour))
        apply(kind, draft)
    return {name: made if isinstance(made, bytes) else encode(made) for name, made in sorted(draft.files.items())}


def write_sample(target: Path, **which: Any) -> None:
    """Write such a case into a folder."""
    for name, content in sample_files(**which).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
