"""Range shifters for tests: as a plan sets them, and as a site declares them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mqi_communicator.dicom.records import Beam, CTVolume, ShifterSetting
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.range_shifter import RangeShifter

SIGNED = Commissioning("Physics", "2026-01-31")
PMMA = RangeShifter(40.0, 64, 1.2, "plan", (50.0, 400.0), {"POSITION1": "IN", "HOME": "OUT"}, SIGNED)


def setting(name: str = "RS", word: str = "IN", distance: float | None = 200.0, wet: float | None = 40.0):
    return ShifterSetting(name, word, distance, wet)


def with_settings(beam: Beam, *settings: tuple[ShifterSetting, ...]) -> Beam:
    """The beam with these settings, layer by layer; those of the last one for all further layers."""
    each = [*settings, *[settings[-1]] * (len(beam.layers) - len(settings))][: len(beam.layers)]
    layers = tuple(replace(layer, shifters=own) for layer, own in zip(beam.layers, each, strict=True))
    return replace(beam, layers=layers)


class Models:
    """Every machine has these range shifters; None: it is not configured."""

    def __init__(self, shifters: Any = None, *, known: bool = True, sigma: float = 4.0) -> None:
        self.shifters, self.known, self.sigma = shifters, known, sigma

    def machine(self, beam: Beam) -> MachineModel | None:  # noqa: ARG002
        return MachineModel((2000.0, 2500.0), lambda _: self.sigma, self.shifters) if self.known else None

    def tube_voltage(self, ct: CTVolume) -> None:
        """None is configured."""

    def ratio(self, ct: CTVolume) -> None:  # noqa: ARG002
        return None
