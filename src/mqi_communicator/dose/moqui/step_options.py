"""Settings of programs that run in the job beside moqui."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mqi_communicator.dose.moqui.placeholders import check_pattern, check_placeholders

_LABEL = r"^[a-z][a-z0-9-]{0,31}$"
_OWN = re.compile(r"moqui(-\d+)?")
STEP_PLACEHOLDERS = frozenset({"beam", "input", "common", "gpus", "outputs"})


class StepOptions(BaseModel):
    """A program of the site that runs in the job before or after moqui, in the run folder, without a shell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=_LABEL, description="Name of the step in the log and in messages; lower-case letters, digits, -."
    )
    argv: tuple[str, ...] = Field(
        min_length=1,
        description="The program and its arguments, one list item each. Placeholders: {beam}, {input}, {common}, "
        "{gpus}, "
        "{outputs}.",
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables.")
    outputs: tuple[str, ...] = Field(
        default=(),
        description="Files below the run folder that must exist and not be empty afterwards; {beam} as above.",
    )
    limit_s: float | None = Field(default=None, gt=0, description="Time after which the program is killed, in s.")
    failure_patterns: tuple[str, ...] = Field(
        default=(), description="Regular expressions of output lines that mean failure."
    )
    retryable_patterns: tuple[str, ...] = Field(
        default=(), description="The same, for failures that a new run may avoid."
    )

    @property
    def templates(self) -> tuple[str, ...]:
        """All arguments and outputs, with their placeholders."""
        return (*self.argv, *self.outputs)

    @field_validator("name")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if _OWN.fullmatch(value):
            raise ValueError("this name is reserved for moqui")
        return value

    @field_validator("argv", "outputs")
    @classmethod
    def _places(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            check_placeholders(word, STEP_PLACEHOLDERS)
            if not word or re.search(r"[\x00-\x1f\x7f]", word):
                raise ValueError("an argument is empty, or contains a tab or a line break")
        return words

    @field_validator("failure_patterns", "retryable_patterns")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_pattern(pattern) for pattern in patterns)
