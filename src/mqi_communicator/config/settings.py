"""The configuration: the options of every component, loaded from one YAML file.

It holds no secrets: SSH keys are separate files, named here. Relative paths are relative to the folder of the file,
`~` is the home of the user who runs the communicator.
"""

from __future__ import annotations

import hashlib
import json
from itertools import permutations
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mqi_communicator.case.views import ViewPolicy
from mqi_communicator.compute.options import DirectOptions, GpuOptions
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.config import file as config_file
from mqi_communicator.config import messages as config_messages
from mqi_communicator.config.file import ConfigProblem, Mistake
from mqi_communicator.config.hosts import HostOptions, RemoteFolder
from mqi_communicator.dicom.configured import DicomText
from mqi_communicator.dose.options import AnyMachine, AnyScanner, EngineOptions, misfits
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.flow.options import (
    BreakerOptions,
    ConstancyOptions,
    ExtensionOptions,
    ResourceOptions,
    RetryOptions,
    SigningOptions,
)
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.notify.options import NotifyOptions
from mqi_communicator.remote.options import LocalOptions, SshOptions
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.store.options import BackupOptions
from mqi_communicator.telemetry.options import MonitoringOptions
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions
from mqi_communicator.web.options import WebOptions

__all__ = ["Config", "ConfigProblem", "PathOptions", "effective_digest", "load"]

_OF_ONE_HOST = ("ssh", "local", "direct", "slurm", "gpus")
_Model = TypeVar("_Model", bound=BaseModel)


class PathOptions(BaseModel):
    """The folders the communicator works in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    watch: Path = Field(
        description="Watched folder: each case arrives as a folder of DICOM files. It is never written to."
    )
    deliveries: Path | None = Field(
        default=None,
        description="Folder of what treatment machines recorded: each delivery, or several, arrive as a folder of "
        "treatment records and logs. It is never written to. Without it none are read.",
    )
    workspace: Path = Field(
        description="Private folder on a local disk: the store, the spool of admitted cases, temporary files."
    )
    results: Path = Field(description="Folder to which the results of each case are delivered.")
    remote: RemoteFolder = Field(
        description="Folder on the compute host for the communicator alone; absolute path of letters, digits, /._- "
        "only."
    )

    @property
    def store(self) -> Path:
        """Path of the database file."""
        return self.workspace / "store.sqlite3"

    @property
    def results_id(self) -> Path:
        """Path of the recorded id of the results folder (`delivery.marker`)."""
        return self.workspace / "results-folder.id"

    @property
    def lock(self) -> Path:
        """Path of the lock file held by the running communicator of this workspace."""
        return self.workspace / "owner.lock"


class Config(BaseModel):
    """All settings of one communicator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: PathOptions = Field(description="Folders for cases, work and results.")
    ssh: SshOptions | None = Field(default=None, description="SSH connection to the compute host.")
    local: LocalOptions | None = Field(
        default=None, description="Instead of ssh: the communicator runs on the compute host itself."
    )
    intake: IntakeOptions = Field(
        default_factory=IntakeOptions, description="Rules for when a folder counts as a complete case."
    )
    direct: DirectOptions | None = Field(
        default=None, description="How jobs are started and monitored on the host itself (the default)."
    )
    slurm: SlurmOptions | None = Field(
        default=None, description="Instead of direct: jobs are submitted to the host's Slurm."
    )
    gpus: GpuOptions | None = Field(
        default=None, description="GPUs of a host without a scheduler (gpus: {} queries nvidia-smi)."
    )
    hosts: tuple[HostOptions, ...] = Field(
        default=(),
        description="Several hosts, instead of ssh, local, direct, slurm and gpus. Each case goes to the host that can "
        "start it first.",
    )
    engine: EngineOptions = Field(description="The Monte Carlo engine on the compute host.")
    machines: dict[DicomText, AnyMachine] = Field(
        default_factory=dict,
        description="Treatment machines by TreatmentMachineName; a case for any other machine waits before upload.",
    )
    scanners: dict[DicomText, AnyScanner] = Field(
        default_factory=dict,
        description="CT scanners by Manufacturer|ManufacturerModelName|StationName; a case with any other scanner "
        "waits before upload.",
    )
    dose_conventions: dict[DicomText, DoseConvention] = Field(
        default_factory=dict, description="Type of the planned doses, by Manufacturer of the planning system."
    )
    preparation: PreparationOptions = Field(
        default_factory=PreparationOptions, description="How plan and CT are prepared before an engine computes them."
    )
    judgement: JudgementOptions = Field(default_factory=JudgementOptions, description="Tolerances of the checks.")
    extension: ExtensionOptions | None = Field(
        default=None,
        description="One longer run of a case whose verdict is undecided because of Monte Carlo noise alone. Applies "
        "to cases prepared after the setting was changed.",
    )
    constancy: tuple[ConstancyOptions, ...] = Field(
        default=(),
        description="Samples that are recomputed automatically, as constancy checks of host, engine and beam model.",
    )
    report: ReportOptions = Field(default_factory=ReportOptions, description="Report of each case.")
    signing: SigningOptions = Field(
        default_factory=SigningOptions, description="Signatures of results by medical physicists."
    )
    resources: ResourceOptions = Field(
        default_factory=ResourceOptions, description="Limits on concurrent work and resources."
    )
    retry: RetryOptions = Field(default_factory=RetryOptions, description="How failed attempts are retried.")
    breaker: BreakerOptions = Field(
        default_factory=BreakerOptions,
        description="Circuit breaker: when the communicator stops contacting a host that does not answer.",
    )
    backup: BackupOptions = Field(default_factory=BackupOptions, description="Backups of the store.")
    monitoring: MonitoringOptions = Field(
        default_factory=MonitoringOptions, description="Logs, metrics and health checks."
    )
    web: WebOptions | None = Field(
        default=None, description="The dashboard, started by the communicator (web: {} serves it on this machine only)."
    )
    notify: NotifyOptions | None = Field(
        default=None, description="Notifications when action is required, a case failed or a verdict is fail."
    )

    @model_validator(mode="after")
    def _hosts_once(self) -> Self:
        own = [name for name in _OF_ONE_HOST if getattr(self, name) is not None]
        if self.hosts and own:
            raise ValueError(f"has both hosts and {own[0]}; move all settings of the hosts into hosts")
        if not self.hosts and self.ssh is None and self.local is None:
            raise ValueError(
                "needs one of: ssh (a host reached over SSH), local (this machine; local: {}), hosts (several)"
            )
        names = [host.name for host in self.all_hosts]
        if len(set(names)) < len(names):
            raise ValueError(f"has two hosts of the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _constancy_once(self) -> Self:
        names = [sample.name for sample in self.constancy]
        if len(set(names)) < len(names):
            raise ValueError(f"constancy: two samples have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _extension_is_longer(self) -> Self:
        if self.extension is None:
            return self
        most, fixed = self.extension.max_histories_per_beam, self.engine.histories
        if fixed is None:
            raise ValueError("extension: cannot be combined with engine.target_uncertainty, which extends runs itself")
        if most <= fixed:
            raise ValueError(
                f"extension: max_histories_per_beam must be more than engine.histories_per_beam = {fixed}, not {most}"
            )
        return self

    @property
    def policy(self) -> ViewPolicy:
        """What is shown of cases, and which of them somebody has to review."""
        return ViewPolicy(self.report.shown, self.signing.passes)

    @property
    def calibrations(self) -> dict[str, SumitomoOptions]:
        """Calibrations of logs, by TreatmentMachineName."""
        return {name: one.logs for name, one in self.machines.items() if one.logs is not None}

    @property
    def backups(self) -> Path:
        """Folder of the backups of the store."""
        return self.backup.folder or self.paths.workspace / "backups"

    @property
    def all_hosts(self) -> tuple[HostOptions, ...]:
        """All hosts, in order. The top-level sections are the short form of a single one."""
        return self.hosts or (HostOptions(**{name: getattr(self, name) for name in _OF_ONE_HOST}),)


def load(path: Path) -> Config:
    """Load the configuration from a file, with all local paths absolute.

    ConfigProblem if it is invalid; its `reason` has one line per mistake: file:line: key: what is wrong. The folders
    and files that it names are not checked: `mqi check` does that.
    """
    document = config_file.read(path)
    config = _absolute(config_messages.validate(path, document, Config), path.resolve().parent)
    fits = misfits(config.engine, config.machines, config.scanners)
    misfit_mistakes = [Mistake(document.line_of(keys), config_file.dotted(keys), what) for keys, what in fits]
    if mistakes := _overlaps(config.paths, document) + _samples(config, document) + misfit_mistakes:
        raise config_file.problem(path, mistakes)
    return config


def effective_digest(config: Config) -> str:
    """Return the sha256, in hex, of all settings in effect, including defaults: equal settings, equal digest."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _absolute(options: _Model, base: Path) -> _Model:
    """Return the options with each local path (a field of type Path) made absolute. Paths on the host are text."""
    values = {name: getattr(options, name) for name in type(options).model_fields}
    resolved = {name: _resolved(value, base) for name, value in values.items()}
    changed = {name: value for name, value in resolved.items() if value != values[name]}
    return options.model_copy(update=changed) if changed else options


def _resolved(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return base / _expanded(value)
    if isinstance(value, BaseModel):
        return _absolute(value, base)
    if isinstance(value, dict):
        return {key: _resolved(item, base) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolved(item, base) for item in value)
    return value


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: the path stays as written, and `mqi check` reports it
        return path


def _overlaps(paths: PathOptions, document: config_file.Document) -> list[Mistake]:
    """Find folders inside one another: results in the watched folder would be admitted as cases."""
    names = [name for name in ("watch", "deliveries", "workspace", "results") if getattr(paths, name) is not None]
    places: dict[str, Path] = {name: getattr(paths, name).resolve() for name in names}
    mistakes = []
    for (name, inner), (other, outer) in permutations(places.items(), 2):
        if inner != outer and inner.is_relative_to(outer):
            mistakes.append(_overlap(name, f"is inside paths.{other}", document))
        elif inner == outer and name > other:
            mistakes.append(_overlap(name, f"is the same folder as paths.{other}", document))
    return mistakes


def _samples(config: Config, document: config_file.Document) -> list[Mistake]:
    """Find constancy samples that overlap the communicator's folders."""
    mistakes = []
    for number, sample in enumerate(config.constancy):
        keys, folder = ("constancy", number, "folder"), sample.folder.resolve()
        for name in ("watch", "deliveries", "workspace", "results"):
            if (of_ours := getattr(config.paths, name)) is None:
                continue
            ours = of_ours.resolve()
            if folder.is_relative_to(ours) or ours.is_relative_to(folder):
                what = f"overlaps paths.{name}; it needs a folder of its own"
                mistakes.append(Mistake(document.line_of(keys), config_file.dotted(keys), what))
    return mistakes


def _overlap(name: str, what: str, document: config_file.Document) -> Mistake:
    return Mistake(document.line_of(("paths", name)), f"paths.{name}", f"{what}; each needs a folder of its own")
