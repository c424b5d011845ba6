"""Recomputes the planned dose of the samples from the ground truth with MCsquare.

    python -m mqi_communicator.demo.remake --engine-home DIR [--histories N] [--seed N] [--threads N] [TRUTH ...]

The seed differs from those of judged runs, and the histories are many times more.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mqi_communicator.demo import truth
from mqi_communicator.demo.planned import pack
from mqi_communicator.demo.truth_engine import BEAM_MODEL, DENSITY_CURVE, MATERIAL_CURVE, Run, compute

SEED = 90_210
HISTORIES = 20_000_000


def remake(size: truth.Size, engine: Path, *, histories: int, seed: int, threads: int) -> bytes:
    """Compute the package data of one size, beam by beam; beam b uses `seed` + b."""
    runs: dict[int, Run] = {}
    for beam in size.beams():
        with TemporaryDirectory(prefix="mqi-remake-") as folder:
            run = compute(
                engine,
                size.computed,
                beam,
                Path(folder),
                histories=histories,
                seed=seed + beam.number,
                threads=threads,
                beside=size.beside,
            )
        sys.stderr.write(f"{size.data} beam {beam.number}: {run.seconds:.0f} s, {100 * run.uncertainty:.2f} %\n")
        runs[beam.number] = run
    notes = {
        "truth": truth.digest(size),
        "histories": histories,
        "seed": seed,
        "threads": threads,
        "uncertainty": {n: run.uncertainty for n, run in runs.items()},
        "engine": {name: _digest(engine / name) for name in (BEAM_MODEL, DENSITY_CURVE, MATERIAL_CURVE)},
    }
    mz, my, mx = size.margin
    inner = (slice(mz, -mz), slice(my, -my), slice(mx, -mx))
    return pack({n: run.gy[inner] * truth.FRACTIONS for n, run in runs.items()}, notes)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def main() -> None:
    """Write demo/data/NAME.npz for the truths named (default: all)."""
    parser = argparse.ArgumentParser(prog="python -m mqi_communicator.demo.remake", description=__doc__)
    parser.add_argument("--engine-home", type=Path, required=True, help="folder with MCsquare_linux, BDL, Scanners")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="protons per beam")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("truths", nargs="*", metavar="TRUTH", default=list(truth.TRUTHS))
    arguments = parser.parse_args()
    for name in arguments.truths:
        made = remake(
            truth.TRUTHS[name],
            arguments.engine_home,
            histories=arguments.histories,
            seed=arguments.seed,
            threads=arguments.threads,
        )
        (Path(__file__).parent / "data" / f"{name}.npz").write_bytes(made)


if __name__ == "__main__":
    main()
