"""Settings that describe a site's own build of moqui."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mqi_communicator.dose.moqui.flavour import PLACEHOLDERS, ErrorPattern, Flavour, Kind, Origin
from mqi_communicator.dose.moqui.flavours import BUILT_IN
from mqi_communicator.dose.moqui.placeholders import check_pattern, check_placeholders


class FlavourOptions(BaseModel):
    """How a site's own build of moqui differs from a built-in flavour. Unset options are those of that flavour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    based_on: Literal["upstream", "fork", "clinic"] = Field(description="The most similar built-in flavour.")
    keys: dict[str, Kind] = Field(
        default_factory=dict, description="Additional keys that this build reads, with the types of their values."
    )
    lines: dict[str, str] = Field(
        default_factory=dict,
        description="Lines of the input file, key and value; an empty value removes the line. Placeholders: "
        f"{', '.join('{' + name + '}' for name in sorted(PLACEHOLDERS))}.",
    )
    several_gpus: dict[str, str] = Field(
        default_factory=dict, description="Additional lines for a beam with several GPUs, in the same form."
    )
    formats: tuple[Literal["raw", "mhd", "mha", "dcm"], ...] = Field(
        default=(), description="Dose formats that it can write."
    )
    answer: Literal["", "raw", "mhd", "mha", "dcm"] = Field(
        default="", description="Format in which the dose is read, if a later step converts it."
    )
    product: str = Field(
        default="",
        description="Path of the dose below the run folder, without suffix; placeholders: {output}, {name}, {beam}, "
        "{devices} (the number of range shifters and apertures of the beam).",
    )
    end_mark: str = Field(default="", description="Regular expression of the last line of a complete run.")
    batch: str = Field(
        default="",
        description="Regular expression of a progress line; its two groups are the current batch and the number of "
        "batches.",
    )
    failure_patterns: tuple[str, ...] = Field(
        default=(), description="Regular expressions of further output lines that mean failure."
    )
    retryable_patterns: tuple[str, ...] = Field(
        default=(), description="The same, for failures that a new run may avoid."
    )
    origin: Origin | None = Field(default=None, description="Which point of the first voxel the Offset of an .mhd is.")

    @field_validator("lines", "several_gpus")
    @classmethod
    def _lines(cls, lines: dict[str, str]) -> dict[str, str]:
        for key, value in lines.items():
            check_placeholders(value, PLACEHOLDERS)
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key) or re.search(r"[\s#]", value):
                raise ValueError(
                    f"{key}: a key must be one word, and a value must not contain blanks or #, which moqui would "
                    f"misread"
                )
        return lines

    @field_validator("product")
    @classmethod
    def _product(cls, path: str) -> str:
        check_placeholders(path, frozenset({"output", "name", "beam", "devices"}))
        if path.startswith(("/", "~")) or ".." in path.split("/"):
            raise ValueError("must be a path below the run folder")
        return path

    @field_validator("end_mark", "batch", "failure_patterns", "retryable_patterns")
    @classmethod
    def _patterns(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for pattern in (value,) if isinstance(value, str) else value:
            check_pattern(pattern)
        return value

    @model_validator(mode="after")
    def _typed(self) -> Self:
        known = {**BUILT_IN[self.based_on].keys, **self.keys}
        for key in (*self.lines, *self.several_gpus):
            if key not in known:
                raise ValueError(
                    f"lines: {key} is not a key of {self.based_on}; if this build reads it, add it to keys"
                )
        return self

    def build(self, name: str) -> Flavour:
        """The flavour that these options describe."""
        base = BUILT_IN[self.based_on]
        own_patterns = tuple(ErrorPattern(pattern, retryable=True) for pattern in self.retryable_patterns)
        own_patterns += tuple(ErrorPattern(pattern) for pattern in self.failure_patterns)
        lines = {key: value for key, value in {**base.lines, **self.lines}.items() if value}
        return Flavour(
            name=name,
            keys={**base.keys, **self.keys},
            lines=lines,
            required=base.required & set(lines),
            formats=self.formats or base.formats,
            product=self.product or base.product,
            end=self.end_mark or base.end,
            histories=base.histories,
            done=base.done,
            batch=self.batch or base.batch,
            computed=base.computed,
            error_patterns=own_patterns + base.error_patterns,
            origin=self.origin or base.origin,
            scale=base.scale,
            start=base.start,
            several_gpus={**base.several_gpus, **self.several_gpus},
            answer=self.answer,
        )
