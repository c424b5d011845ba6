"""Doses that are read when they are needed and freed after use. Pure: the reader is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mqi_communicator.dicom.records import Dose, DoseType, Grid
from mqi_communicator.results.dose_type import factor_between


@dataclass(frozen=True, slots=True)
class DoseSource:
    """A dose without its values: `read` returns them in Gy on `grid`, those of `stored` times `factor`."""

    grid: Grid
    dose_type: DoseType
    beam_number: int | None  # None: the whole plan
    uncertainty: float | None
    stored: Callable[[], Dose]
    factor: float = 1.0

    def read(self) -> Dose:
        """The dose with its values."""
        dose = self.stored()
        gy = dose.gy if self.factor == 1.0 else dose.gy * dose.gy.dtype.type(self.factor)
        return Dose(self.grid, gy, self.dose_type, self.beam_number, self.uncertainty)

    def converted(self, target: DoseType, *, fractions: int, rbe_factor: float) -> tuple[DoseSource, tuple[str, ...]]:
        """The dose with the extent and biology of `target`, and the applied factors as text; see `dose_type`."""
        factor, conversions = factor_between(self.dose_type, target, fractions=fractions, rbe_factor=rbe_factor)
        if not conversions:
            return self, ()
        dose_type = replace(target, medium=self.dose_type.medium)
        return replace(self, dose_type=dose_type, factor=self.factor * factor), conversions


def source(dose: Dose | DoseSource) -> DoseSource:
    """A dose that is in memory, or mapped into it, as a source."""
    if isinstance(dose, DoseSource):
        return dose
    return DoseSource(dose.grid, dose.dose_type, dose.beam_number, dose.uncertainty, lambda: dose)


def sources(doses: Sequence[Dose | DoseSource]) -> tuple[DoseSource, ...]:
    """The same for several doses."""
    return tuple(map(source, doses))
