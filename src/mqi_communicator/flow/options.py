"""Settings of limits, retries and breakers, of longer runs and of constancy samples."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ResourceOptions(BaseModel):
    """Limits here and on hosts. At a limit work waits, and `mqi why` names the limit; nothing fails."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Job slots per host: jobs running at once; with a scheduler, queued or running.",
    )
    cases: int = Field(
        default=50, ge=1, le=10_000, description="Cases stored on hosts at once; the others wait to be uploaded."
    )
    transfers: int = Field(default=2, ge=1, le=16, description="Uploads and downloads at once.")
    calls_per_minute: int = Field(
        default=240,
        ge=6,
        le=100_000,
        description="Commands per minute, for all cases and hosts together.",
    )
    ageing_s: float = Field(
        default=14_400.0,
        ge=0,
        description="What one level of priority is worth, in s: an urgent case goes before routine ones that arrived "
        "up to this much earlier, a background case after those that arrived up to this much later.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="CPU-heavy local steps at once, of each kind: writing engine input; checking and comparing doses; "
        "reports. None of these kinds delays another.",
    )
    admissions: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Cases that are checked and copied to the spool at once. Admissions do not delay results.",
    )
    worker_memory_gib: float = Field(
        default=8.0,
        gt=0,
        description="Memory of one worker process, in GiB, without mapped files; a step that needs more fails alone.",
    )
    worker_limit_s: float = Field(default=1800.0, gt=0, description="Time limit of one CPU-heavy step, in s.")
    local_free_gib: float = Field(
        default=2.0, ge=0, description="Space to keep free on the disk of paths.workspace, in GiB."
    )
    remote_free_gib: float = Field(
        default=2.0, ge=0, description="Space to keep free on the disk of paths.remote, in GiB."
    )
    remote_keep_days: int = Field(
        default=14,
        ge=1,
        description="Days until files of a failed case are removed from its host; files of no live case are removed "
        "after one day.",
    )
    stop_s: float = Field(
        default=20.0,
        ge=0,
        description="How long a stop waits for running steps, in s; then they are cancelled, and started again at the "
        "next start. A stop never ends jobs on hosts.",
    )


class ExtensionOptions(BaseModel):
    """One longer run, declared before a case is computed, where the Monte Carlo noise alone leaves it undecided."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_histories_per_beam: int = Field(
        ge=1_000,
        le=2_000_000_000,
        description="The longer run gets as many protons per beam as would settle the verdict, and no more than this; "
        "where this would not settle it, no longer run is made.",
    )


class ConstancyOptions(BaseModel):
    """A sample that is computed regularly: the result must stay the same as long as nothing has changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$",
        description="Name of the sample in lists and reports; letters, digits, blanks and ._- only.",
    )
    folder: Path = Field(description="Folder of its DICOM files, outside the folders of paths; only ever read.")
    every_days: float = Field(
        gt=0,
        le=3660,
        description="Days between two computations; one more follows each change of engine, beam models, curves or "
        "version.",
    )


class RetryOptions(BaseModel):
    """How failed steps are retried: pauses double, with jitter, up to a cap. An outage uses up no try."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_s: float = Field(default=2.0, gt=0, description="Pause before the second try, in s; doubles each time.")
    cap_s: float = Field(default=300.0, gt=0, description="Longest pause between two tries, in s.")
    tries: int = Field(
        default=8, ge=1, description="Tries of one step before it fails; a host that does not answer costs none."
    )
    max_runs: int = Field(
        default=3, ge=1, description="Runs of one beam that may end without a result before the beam fails."
    )
    probe_s: float = Field(default=120.0, gt=0, description="Pause between two checks while action is required, in s.")


class BreakerOptions(BaseModel):
    """When calls to a host that does not answer are suspended, and when they are tried again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int = Field(default=8, ge=1, description="How many of the last calls are counted.")
    failures: int = Field(default=3, ge=1, description="Failed calls among them that open the breaker.")
    slow_calls: int = Field(default=6, ge=1, description="Slow calls among them that open the breaker.")
    slow_share: float = Field(
        default=0.7, gt=0, description="A call is slow if its answer takes more than this share of its time limit."
    )
    open_s: float = Field(default=10.0, gt=0, description="Pause before the first probe, in s; doubles with each.")
    open_cap_s: float = Field(default=120.0, gt=0, description="Longest pause between two probes, in s.")
    back_s: float = Field(
        default=5.0,
        gt=0,
        description="Time over which waiting calls are spread when a host answers again, in s.",
    )


class SigningOptions(BaseModel):
    """Signatures of results by medical physicists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    second: bool = Field(
        default=False, description="Whether an acceptance needs a second signature, by another physicist."
    )
    passes: bool = Field(
        default=True,
        description="Whether a verdict of pass needs a signature; if not, such a case is not listed for review.",
    )
