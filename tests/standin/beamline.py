"""Range shifters and apertures as upstream moqui builds them from a plan, with its faults.

Behaviour of mqi_treatment_machine_pbs.hpp (characterize_rangeshifter, characterize_aperture),
mqi_treatment_machine_ion.hpp (create_beamline) and mqi_tps_env.hpp (create_rangeshifter, create_voxelized_aperture) of
MGHPhysicsResearch/moquimc:

- A range shifter is built wherever NumberOfRangeShifters is at least 1, whatever its setting, from the first item of
  the settings in the first control point. It is RangeShifterWaterEquivalentThickness / 1.15 thick, and its centre is
  one thickness below IsocenterToRangeShifterDistance.
- If the beam file has [rangeshifter_thickness], all listed IDs are added up, and the place follows from the snout.
- Secondary protons that begin in a device are moved by the coordinates of the isocentre (mqi_po_inelastic.hpp): unless
  it is the origin they are lost, here a thousandth of the dose per mm of water of a range shifter.
- An aperture is as thick as its first block, from IsocenterToBlockTrayDistance upwards, whatever its mounting, its
  outlines are not scaled, and of several only the last is open. It is made of cubes of 1 mm.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.standin.machine import section_lines
from tests.standin.program import die, say

_LOST = 1e-3  # of the dose per mm of water
_ORIGIN = 0.01  # mm
_ENERGY = 100.0  # MeV, at which the density is turned into a stopping power


@dataclass(frozen=True)
class Slab:
    """A range shifter; lengths in mm, heights above the isocentre."""

    bottom: float
    top: float
    half: tuple[float, float]  # half of its width along x and y
    wet: float  # mm of water


@dataclass(frozen=True)
class Block:
    """An aperture. `corners`: of its opening, at the block."""

    bottom: float
    top: float
    half: tuple[float, float]
    corners: np.ndarray


Device = Slab | Block


def devices_of_plan(item: Any, beam_file: str, density: float) -> list[Device]:
    """What moqui builds for one beam. It says what it builds."""
    made: list[Device] = []
    sizes, thicknesses = _geometry(beam_file)
    say(f"number of range shifter: {int(item.NumberOfRangeShifters)}")
    if int(item.NumberOfRangeShifters) >= 1:
        made.append(_slab(item, sizes, thicknesses, density))
    say(f"number of blocks: {int(item.NumberOfBlocks)}")
    if int(item.NumberOfBlocks) >= 1:
        made.append(_block(item, sizes))
    for one in made:
        if isinstance(one, Slab):
            say(f"RANGE SHIFTER added\nRANGESHIFTER\nRangeshifter density {density * 1e-3:.4f}")
        else:
            say("APERTURE added")
    return made


def stopping(density: float) -> float:
    """Relative to water, of a slab of this density in g/cm3 (spr_default of mqi_patient_materials.hpp)."""
    factor = 1.0123 - 3.386e-5 * _ENERGY + 0.291 * (1.0 + _ENERGY**-0.3421) * (density**-0.7 - 1.0)
    return float(density * factor)


def _slab(item: Any, sizes: dict[str, tuple[float, ...]], table: dict[str, float], density: float) -> Slab:
    first = item.IonControlPointSequence[0]
    if table:
        say("Thickness is defined from Rangeshifter ID")
        thick = sum(table.get(str(one.RangeShifterID).strip(), 0.0) for one in item.RangeShifterSequence)
        if not thick > 0:
            die(signal.SIGABRT)
        centre = float(first.SnoutPosition) - (thick * 0.5 + sizes["rangeshifter_snout_gap(mm)"][0])
    else:
        say("Thickness is defined from RangeShifter Setting sequence")
        settings = first.get("RangeShifterSettingsSequence")
        if not settings:
            die(signal.SIGSEGV)
        thick = float(np.float32(settings[0].RangeShifterWaterEquivalentThickness)) / 1.15
        centre = float(np.float32(settings[0].IsocenterToRangeShifterDistance)) - thick
    say(f"Range shifter thickness: {thick:g} (mm) and position: {centre:g} (mm)")
    half = _half(sizes, "rangeshifter(mm)")
    return Slab(centre - thick / 2, centre + thick / 2, half, thick * stopping(density))


def _block(item: Any, sizes: dict[str, tuple[float, ...]]) -> Block:
    first, last = item.IonBlockSequence[0], item.IonBlockSequence[-1]
    thick, bottom = float(first.BlockThickness), float(first.IsocenterToBlockTrayDistance)
    say(f"BlockThickness and Position (center) : {thick:g}, {bottom + thick / 2:g} mm")
    data = np.asarray(last.BlockData, float)[: 2 * int(last.BlockNumberOfPoints)]
    return Block(bottom, bottom + thick, _half(sizes, "aperture(mm)"), data.reshape(-1, 2))


def _half(sizes: dict[str, tuple[float, ...]], name: str) -> tuple[float, float]:
    x, y = sizes.get(name, (0.0, 0.0))
    return x / 2, y / 2


def _geometry(text: str) -> tuple[dict[str, tuple[float, ...]], dict[str, float]]:
    """Sizes of [geometry] and thicknesses of [rangeshifter_thickness]."""
    sizes: dict[str, tuple[float, ...]] = {}
    table: dict[str, float] = {}
    for section, words in section_lines(text):
        if section == "[geometry]":
            name, *numbers = words.split()
            sizes[name] = tuple(float(number) for number in numbers)
        elif section == "[rangeshifter_thickness]":
            name, thick = words.rsplit('"', 1)
            table[name.lstrip('" ')] = float(thick)
    return sizes, table


def crossed(devices: Sequence[Device], start: float) -> tuple[list[Device], float]:
    """The devices that protons cross which start at this height, one after the other, and where they leave the last.

    One that lies above a proton is passed by: also one that comes later in the list but higher up. What is left of a
    range shifter within which protons start is all that they cross of it.
    """
    met: list[Device] = []
    for one in devices:
        if start <= one.bottom:
            continue
        share = min(1.0, (start - one.bottom) / (one.top - one.bottom))
        met.append(replace(one, wet=one.wet * share) if isinstance(one, Slab) else one)
        start = one.bottom
    return met, start


def kept(devices: Sequence[Device], isocentre: Sequence[float]) -> float:
    """The share of the dose that remains of secondary protons' misplacement."""
    if max(map(abs, isocentre)) < _ORIGIN:
        return 1.0
    return 1.0 - _LOST * sum(one.wet for one in devices if isinstance(one, Slab))


def is_open(block: Block, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether protons at these places in the block pass: through its opening, or beside it."""
    across, along = np.floor(x) + 0.5, np.floor(y) + 0.5  # the middle of the cube
    inside = np.zeros(x.shape, dtype=bool)
    before = block.corners[-1]
    for corner in block.corners:
        rises = (corner[1] <= along) & (along < before[1]) | (before[1] <= along) & (along < corner[1])
        slope = (before[0] - corner[0]) / (before[1] - corner[1]) if before[1] != corner[1] else 0.0
        inside ^= rises & (across < slope * (along - corner[1]) + corner[0])
        before = corner
    beside = (np.abs(x) > block.half[0]) | (np.abs(y) > block.half[1])
    return np.asarray(inside | beside)
