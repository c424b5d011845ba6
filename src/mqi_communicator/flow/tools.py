"""What a step is passed. Built once, by the composition root; steps use nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.delivery.marker import ResultsMarker
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.hosts.guard import Emit
from mqi_communicator.flow.options import ExtensionOptions, ResourceOptions, SigningOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.store import cases
from mqi_communicator.store.database import Database
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything a step may use."""

    database: Database
    hosts: Mapping[str, ComputeHost]  # by name, in the order of the configuration
    engine: DoseEngine
    preparation: PreparationOptions
    workers: WorkerPool
    workspace: Path
    results: Path
    marker: ResultsMarker
    intake: IntakeOptions
    judgement: JudgementOptions
    conventions: dict[str, DoseConvention]
    report: ReportOptions
    resources: ResourceOptions
    basis: Basis
    clock: Callable[[], float]  # epoch seconds
    emit: Emit
    extension: ExtensionOptions | None = None  # None: no longer runs
    signing: SigningOptions = field(default_factory=SigningOptions)
    calibrations: Mapping[str, SumitomoOptions] = field(default_factory=dict)  # of logs, by TreatmentMachineName

    @property
    def preparer(self) -> Preparer:
        """What prepares cases for the engine as configured."""
        return Preparer(self.engine, self.preparation)

    async def host_of(self, case: str) -> ComputeHost:
        """The host of a case. ActionRequired if it is no longer configured."""
        sent_to = await asyncio.to_thread(self.spool(case).host)
        name = sent_to or (await self.database.read(cases.get, case)).host or next(iter(self.hosts))
        if name not in self.hosts:
            raise ActionRequired(
                f"the case is computed on {name}, which is no longer configured",
                f"add {name} to the configuration again and restart, or cancel the case",
            )
        return self.hosts[name]

    def spool(self, case: str) -> Spool:
        """The private folder of a case."""
        return Spool(self.workspace / "spool" / case)
