"""The configuration: every component's options, composed, and loaded from the one YAML file.

Nothing secret stands in it: keys of SSH are files of their own, named here. Relative paths are relative to the
file's own folder, `~` is the home of the user who runs the communicator.
"""

from __future__ import annotations

import hashlib
import json
import re
from itertools import permutations
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mqi_communicator.compute.options import DirectOptions, GpuOptions
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.config import file as config_file
from mqi_communicator.config import messages as config_messages
from mqi_communicator.config.file import ConfigProblem, Mistake
from mqi_communicator.config.hosts import HostOptions
from mqi_communicator.dose.options import AnyMachine, AnyScanner, EngineOptions, misfits
from mqi_communicator.flow.options import (
    BreakerOptions,
    ConstancyOptions,
    ExtensionOptions,
    ResourceOptions,
    RetryOptions,
)
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.notify.options import NotifyOptions
from mqi_communicator.remote.options import LocalOptions, SshOptions
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.store.options import BackupOptions
from mqi_communicator.telemetry.options import MonitoringOptions
from mqi_communicator.web.options import WebOptions

__all__ = ["Config", "ConfigProblem", "PathOptions", "effective_digest", "load"]

_OF_ONE_HOST = ("ssh", "local", "direct", "slurm", "gpus")
_Model = TypeVar("_Model", bound=BaseModel)


class PathOptions(BaseModel):
    """The folders the communicator works in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    watch: Path = Field(description="Folder in which a case appears as a folder of DICOM files; only ever read.")
    workspace: Path = Field(
        description="Private folder on a local disk: the store, the spool of admitted cases, work in progress."
    )
    results: Path = Field(description="Folder in which the finished results of each case appear.")
    remote: str = Field(
        description="Folder on the compute host for the communicator alone; absolute, letters, digits and /._- only."
    )

    @field_validator("remote")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+/?", value) or ".." in value.split("/"):
            raise ValueError("must be an absolute path on the compute host, of letters, digits and /._- only")
        return value.rstrip("/")

    @property
    def store(self) -> Path:
        """The database file."""
        return self.workspace / "store.sqlite3"

    @property
    def lock(self) -> Path:
        """The file that the one active communicator of this workspace holds."""
        return self.workspace / "owner.lock"


class Config(BaseModel):
    """All settings of one communicator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: PathOptions = Field(description="Where cases come from, where work is done, where results go.")
    ssh: SshOptions | None = Field(default=None, description="The compute host and how it is reached.")
    local: LocalOptions | None = Field(
        default=None, description="Instead of ssh, where the communicator runs on the computing machine itself."
    )
    intake: IntakeOptions = Field(default_factory=IntakeOptions, description="When a folder is a complete case.")
    direct: DirectOptions | None = Field(
        default=None, description="How jobs are started and watched on the host itself (the default)."
    )
    slurm: SlurmOptions | None = Field(default=None, description="Instead of direct: jobs go to the host's Slurm.")
    gpus: GpuOptions | None = Field(
        default=None, description="The host's GPUs, where no scheduler looks after them (gpus: {} asks nvidia-smi)."
    )
    hosts: tuple[HostOptions, ...] = Field(
        default=(),
        description="Several hosts, instead of ssh, local, direct, slurm and gpus: a case goes where it can begin "
        "first.",
    )
    engine: EngineOptions = Field(description="The Monte Carlo engine on the compute host.")
    machines: dict[str, AnyMachine] = Field(
        default_factory=dict,
        description="Treatment machines by TreatmentMachineName; a plan for any other machine is held before upload.",
    )
    scanners: dict[str, AnyScanner] = Field(
        default_factory=dict,
        description="CT scanners by Manufacturer|ManufacturerModelName|StationName; a CT of any other is held.",
    )
    dose_conventions: dict[str, DoseConvention] = Field(
        default_factory=dict, description="What planned doses mean, by Manufacturer of the planning system."
    )
    judgement: JudgementOptions = Field(default_factory=JudgementOptions, description="Limits of the checks.")
    extension: ExtensionOptions | None = Field(
        default=None,
        description="One longer run of a case whose verdict is undecided by the Monte Carlo noise alone. It holds for "
        "cases whose input is written from then on.",
    )
    constancy: tuple[ConstancyOptions, ...] = Field(
        default=(), description="Samples that are computed again by themselves, as constancy checks of what computes."
    )
    report: ReportOptions = Field(default_factory=ReportOptions, description="The report of each case.")
    resources: ResourceOptions = Field(default_factory=ResourceOptions, description="Limits of work under way.")
    retry: RetryOptions = Field(default_factory=RetryOptions, description="How failed tries are repeated.")
    breaker: BreakerOptions = Field(
        default_factory=BreakerOptions, description="When a host that does not answer is left alone."
    )
    backup: BackupOptions = Field(default_factory=BackupOptions, description="Copies of the store.")
    monitoring: MonitoringOptions = Field(
        default_factory=MonitoringOptions, description="Logs, metrics and health pages."
    )
    web: WebOptions | None = Field(
        default=None, description="The dashboard, served by the communicator (web: {} on this machine alone)."
    )
    notify: NotifyOptions | None = Field(
        default=None, description="Who is told when a person is needed, work failed or a verdict is fail."
    )

    @model_validator(mode="after")
    def _hosts_once(self) -> Self:
        own = [name for name in _OF_ONE_HOST if getattr(self, name) is not None]
        if self.hosts and own:
            raise ValueError(
                f"has both hosts and {own[0]}: several hosts stand in hosts, with all that belongs to them"
            )
        if not self.hosts and self.ssh is None and self.local is None:
            raise ValueError(
                "needs one of: ssh (a host reached over SSH), local (this machine; local: {}), hosts (several)"
            )
        names = [host.name for host in self.all_hosts]
        if len(set(names)) < len(names):
            raise ValueError(f"names a host twice: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _constancy_once(self) -> Self:
        names = [sample.name for sample in self.constancy]
        if len(set(names)) < len(names):
            raise ValueError(f"constancy: names a sample twice: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _extension_is_longer(self) -> Self:
        if self.extension is None:
            return self
        most, fixed = self.extension.max_histories_per_beam, self.engine.histories
        if fixed is None:
            raise ValueError("extension: does not go with engine.target_uncertainty, which goes on by itself")
        if most <= fixed:
            raise ValueError(
                f"extension: max_histories_per_beam must be more than engine.histories_per_beam = {fixed}, not {most}"
            )
        return self

    @property
    def backups(self) -> Path:
        """The folder of the copies of the store."""
        return self.backup.folder or self.paths.workspace / "backups"

    @property
    def all_hosts(self) -> tuple[HostOptions, ...]:
        """Every host, in order. The sections of the file itself are the short form of a single one."""
        return self.hosts or (HostOptions(**{name: getattr(self, name) for name in _OF_ONE_HOST}),)


def load(path: Path) -> Config:
    """The configuration in a file, with all local paths absolute.

    ConfigProblem (its `reason` one line per mistake: file:line: key: what is wrong) when anything in it is not
    understood. The folders and files it names are not looked at: `mqi check` does that.
    """
    document = config_file.read(path)
    config = _absolute(config_messages.validate(path, document, Config), path.resolve().parent)
    fits = misfits(config.engine, config.machines, config.scanners)
    misfit_mistakes = [Mistake(document.line_of(keys), config_file.dotted(keys), what) for keys, what in fits]
    if mistakes := _overlaps(config.paths, document) + _samples(config, document) + misfit_mistakes:
        raise config_file.problem(path, mistakes)
    return config


def effective_digest(config: Config) -> str:
    """The sha256, in hex, of every setting in effect, defaults included: equal settings, equal digest."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _absolute(options: _Model, base: Path) -> _Model:
    """The options with each local path (a field of type Path) made absolute. Paths on the host are text."""
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
    except RuntimeError:  # no such user: the path stays as written, and `mqi check` will not find it
        return path


def _overlaps(paths: PathOptions, document: config_file.Document) -> list[Mistake]:
    """Folders inside one another: results in the watched folder would come back as cases."""
    places: dict[str, Path] = {name: getattr(paths, name).resolve() for name in ("watch", "workspace", "results")}
    mistakes = []
    for (name, inner), (other, outer) in permutations(places.items(), 2):
        if inner != outer and inner.is_relative_to(outer):
            mistakes.append(_overlap(name, f"lies inside paths.{other}", document))
        elif inner == outer and name > other:
            mistakes.append(_overlap(name, f"is the same folder as paths.{other}", document))
    return mistakes


def _samples(config: Config, document: config_file.Document) -> list[Mistake]:
    """Constancy samples in our own folders: in the watched one they would be cases of patients."""
    mistakes = []
    for number, sample in enumerate(config.constancy):
        keys, folder = ("constancy", number, "folder"), sample.folder.resolve()
        for name in ("watch", "workspace", "results"):
            ours = getattr(config.paths, name).resolve()
            if folder.is_relative_to(ours) or ours.is_relative_to(folder):
                what = f"lies inside paths.{name}, or around it; it needs a folder of its own"
                mistakes.append(Mistake(document.line_of(keys), config_file.dotted(keys), what))
    return mistakes


def _overlap(name: str, what: str, document: config_file.Document) -> Mistake:
    return Mistake(document.line_of(("paths", name)), f"paths.{name}", f"{what}; each needs a folder of its own")
