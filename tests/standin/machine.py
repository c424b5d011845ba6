"""Machines and spots as moqui has them: a beam file with the plan's spots, or spot lists with a model built in."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.standin.program import complain, die


@dataclass(frozen=True)
class Spots:
    """All spots of a beam."""

    energy: np.ndarray  # MeV, mean
    x: np.ndarray  # mm at the isocentre
    y: np.ndarray
    sigma: np.ndarray  # mm
    histories: np.ndarray  # whole
    sad: tuple[float, float]


def spots_of_plan(item: Any, file: str, particles_per_history: float) -> Spots:
    """The spots of every other control point, their histories by the beam file's ratio, in single precision."""
    if not Path(file).is_file():
        complain("out-of-bound")
        die(signal.SIGSEGV)
    sad, rows = beam_file(Path(file).read_text())
    found = []
    for point in item.IonControlPointSequence[::2]:
        energy = np.float32(float(point.NominalBeamEnergy))
        row = between(rows, energy)
        places = np.atleast_1d(_floats(point.ScanSpotPositionMap)).reshape(-1, 2)
        weights = np.atleast_1d(_floats(point.ScanSpotMetersetWeights))
        histories = np.floor(weights * np.float32(row[7]) / np.float32(particles_per_history)).astype(np.int64)
        count = int(point.NumberOfScanSpotPositions)
        found.append((np.full(count, row[1]), places[:, 0], places[:, 1], np.full(count, row[3]), histories))
    columns = [np.concatenate(column).astype(float) for column in zip(*found, strict=True)]
    return Spots(columns[0], columns[1], columns[2], columns[3], columns[4].astype(np.int64), sad)


def _floats(value: Any) -> np.ndarray:
    """Single-precision numbers of an element, whatever representation the file has (UN above 65 534 bytes)."""
    return np.frombuffer(value, "<f4") if isinstance(value, bytes) else np.asarray(value, np.float32)


def section_lines(text: str) -> Iterator[tuple[str, str]]:
    """The lines of a beam file without comments, each with its section; a section's name is alone on its line."""
    section = ""
    for line in text.split("\n"):
        words = line.split("#")[0]
        if re.fullmatch(r".*\[.*\].*", words):
            section = words
        elif words:
            yield section, words


def beam_file(text: str) -> tuple[tuple[float, float], np.ndarray]:
    """SAD and the rows of [spot]: a section name must be alone on its line."""
    sad, rows = (0.0, 0.0), []
    for section, words in section_lines(text):
        if section == "[geometry]" and words.split()[:1] == ["SAD(mm)"]:
            sad = (float(words.split()[1]), float(words.split()[2]))
        elif section == "[spot]":
            rows.append([float(word) for word in words.split()] or [0.0] * 8)
    return sad, np.array(sorted(rows, key=lambda row: row[0]), np.float32).reshape(-1, 8)


def between(rows: np.ndarray, energy: np.float32) -> np.ndarray:
    """The row at an energy. At and below the lowest one moqui reads memory before its table."""
    upper = int(np.searchsorted(rows[:, 0], energy))
    if upper == 0 or len(rows) == 0:
        complain("out-of-bound")
        return np.zeros(8, np.float32) if len(rows) == 0 else np.asarray(rows[0])
    if upper == len(rows):
        return np.asarray(rows[-1])  # beyond its end: a wrong dose without a message
    low, high = rows[upper - 1], rows[upper]
    return np.asarray(low + (energy - low[0]) * (high - low) / (high[0] - low[0]), np.float32)


def factor(energy: float) -> float:
    """Protons per count that is built into the forks, relative to 70 MeV."""
    return float((energy / 70.0) ** 0.6)


def spots_of_lists(folder: str, beam: int, particles_per_history: float) -> Spots:
    """The spots of the lists in the folder at the beam's place, by names. None: no histories, and no word of it."""
    folders = sorted(str(path) for path in Path(folder).iterdir()) if Path(folder).is_dir() else []
    found: list[tuple[float, float, float, int]] = []
    for path in sorted(Path(folders[beam - 1]).iterdir()) if beam <= len(folders) else []:
        if path.suffix != ".csv":
            continue
        path.open("r+").close()
        energy = float(re.findall(r"_([\d.]+)M", path.name)[0])
        tokens = path.read_text().split(",")
        for t in range(0, len(tokens) - 3, 4):
            count = int(int(tokens[t + 3]) * particles_per_history)
            found.append((energy, float(tokens[t + 1]), float(tokens[t + 2]), int(count * factor(energy))))
    rows = np.array(found, float).reshape(-1, 4)
    sigma = np.full(len(rows), 4.0)
    return Spots(rows[:, 0], rows[:, 1], rows[:, 2], sigma, rows[:, 3].astype(np.int64), (2597.0, 2223.0))
