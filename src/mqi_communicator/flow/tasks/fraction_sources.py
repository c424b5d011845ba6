"""Where a fraction comes from. Loads nothing heavy: steps and the command line make it, workers read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions


@dataclass(frozen=True, slots=True)
class FractionSources:
    """The spools of a fraction's plan and deliveries. Crosses a process boundary."""

    plan_case: Spool
    deliveries: tuple[Spool, ...]  # all that are joined to it
    refused: int  # how many others that may be of it were refused
    calibrations: Mapping[str, SumitomoOptions]  # of logs, by machine
