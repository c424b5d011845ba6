"""What a step is handed. Built once, by the composition root; steps reach nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.compute.scheduler import Scheduler
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.desk import Desk
from mqi_communicator.flow.guard import Ear, GuardedHost
from mqi_communicator.flow.options import ResourceOptions
from mqi_communicator.flow.roundup import Roundup
from mqi_communicator.flow.spool import Spool
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.store.database import Database


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything a step may use."""

    database: Database
    host: GuardedHost
    scheduler: Scheduler
    roundup: Roundup
    engine: DoseEngine
    desk: Desk
    workspace: Path
    results: Path
    remote: str  # the workspace on the host, an absolute path there
    intake: IntakeOptions
    judgement: JudgementOptions
    conventions: dict[str, DoseConvention]
    resources: ResourceOptions
    basis: Basis
    clock: Callable[[], float]  # epoch seconds
    ear: Ear

    def spool(self, case: str) -> Spool:
        """The private folder of a case."""
        return Spool(self.workspace / "spool" / case)
