"""The spots of a fraction as they were recorded, in the spool of the case that computes their dose.

One file holds them with what the dose is compared with: the type, the noise and the recipe of the recalculated dose of
the plan, which such a case has in place of a planned dose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mqi_communicator.dicom.records import Biology, DoseType, Extent, IonPlan, Medium
from mqi_communicator.results.options import DoseConvention
from mqi_communicator.treatment.reconstruction import Spots, as_delivered

NAME = "spots.npz"


@dataclass(frozen=True, slots=True)
class DeliveredSpots:
    """What the dose of a fraction is computed from, and what it is compared with."""

    label: str  # of the fraction
    spots: Spots
    dose_type: DoseType  # of the dose of the plan
    noise: Mapping[int, float | None]  # by beam: relative uncertainty of the dose of the plan; None: not known
    recipe: Mapping[str, str]  # what the dose of the plan was computed with
    reasons: tuple[str, ...]  # why the dose must not be judged; empty if it may be

    @property
    def count(self) -> int:
        """The number of spots."""
        return sum(len(one) for one in self.spots.values())

    @property
    def mu(self) -> float:
        """The MU of all spots."""
        return float(sum(one[:, 2].sum() for one in self.spots.values()))

    def plan(self, planned: IonPlan) -> IonPlan:
        """The plan with these spots."""
        return as_delivered(planned, self.spots)

    def conventions(self, planned: IonPlan) -> dict[str, DoseConvention]:
        """The type of the dose that is compared with, as the convention of the plan's planning system."""
        known = self.dose_type
        one = DoseConvention(medium=known.medium, biology=known.biology, extent=known.extent, rbe_factor=1.1)
        return {planned.manufacturer: one}


def write_spots(path: Path, delivered: DeliveredSpots) -> None:
    """Write the file; `read_spots` reads it."""
    known = delivered.dose_type
    about = {
        "label": delivered.label,
        "type": [known.medium, known.biology, known.extent],
        "noise": {str(number): value for number, value in delivered.noise.items()},
        "recipe": dict(delivered.recipe),
        "reasons": delivered.reasons,
    }
    arrays = {f"beam-{beam}-layer-{layer}": one for (beam, layer), one in delivered.spots.items()}
    np.savez_compressed(path, about=np.array(json.dumps(about, sort_keys=True)), **arrays)  # type: ignore[arg-type]


def read_spots(path: Path) -> DeliveredSpots:
    """Read what `write_spots` wrote."""
    spots: dict[tuple[int, int], np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        for name in stored.files:
            if name != "about":
                _, beam, _, layer = name.split("-")
                spots[int(beam), int(layer)] = np.asarray(stored[name], dtype=np.float64)
    medium, biology, extent = about["type"]
    return DeliveredSpots(
        about["label"],
        spots,
        DoseType(Medium(medium), Biology(biology), Extent(extent)),
        {int(number): value for number, value in about["noise"].items()},
        about["recipe"],
        tuple(about["reasons"]),
    )
