"""One beam's dose, from what came home to what is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mqi_communicator.case.faults import NeedsPerson, Transient
from mqi_communicator.dicom.records import Biology, Dose, Extent, Grid, Meaning, Medium
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.dose.recipe import changes
from mqi_communicator.flow.paperwork.order import read_case
from mqi_communicator.flow.spool import Spool

AGAIN = (
    "put the configuration back as it was and start the communicator again; or cancel the case and drop it again, and "
    "it is computed with what the configuration says now"
)


def keep_beam_dose(
    spool: Spool, number: int, token: str, engine: DoseEngine, digests: Mapping[str, str]
) -> dict[str, object]:
    """Read the products of `token` as the dose of one beam, and keep it. Permanent if it is not a dose that counts,
    NeedsPerson if it was computed with something else than is configured now."""
    if changed := changes(spool.made_with(), engine):
        raise NeedsPerson("; ".join(changed), AGAIN)
    plan, ct = read_case(spool)
    beam = next(beam for beam in plan.beams if beam.number == number)
    products = {name: _proved(spool.back(token) / name, digest) for name, digest in digests.items()}
    log = (spool.back(token) / "log").read_text(encoding="utf-8", errors="replace")
    dose = engine.read_dose(plan, beam, ct, products, log)
    _save(spool.dose / f"beam-{number}.npz", dose, token)
    return {"maximum_gy": float(dose.gy.max()), "uncertainty": dose.uncertainty}


def load_beam_dose(spool: Spool, number: int, token: str) -> Dose:
    """The kept dose of one beam. Transient if it is of another run."""
    import numpy as np

    with np.load(spool.dose / f"beam-{number}.npz") as stored:
        about = json.loads(str(stored["about"]))
        if about["token"] != token:
            raise Transient(f"the kept dose of beam {number} is of run {about['token']}, not of {token}")
        grid = Grid(**{name: tuple(value) for name, value in about["grid"].items()})
        words = about["meaning"]
        meaning = Meaning(Medium(words["medium"]), Biology(words["biology"]), Extent(words["extent"]))
        return Dose(grid, stored["gy"], meaning, number, about["uncertainty"])


def _proved(path: Path, digest: str) -> bytes:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise Transient(f"{path.name} has digest {found[:16]}… here, the job made {digest[:16]}…")
    return data


def _save(path: Path, dose: Dose, token: str) -> None:
    import numpy as np

    about = {
        "token": token,
        "grid": asdict(dose.grid),
        "meaning": asdict(dose.meaning),
        "uncertainty": dose.uncertainty,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".aside.npz")
    np.savez(aside, gy=dose.gy, about=np.array(json.dumps(about)))
    aside.rename(path)
