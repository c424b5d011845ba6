"""Text as an attacker writes it into names and answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pydicom import Dataset

CONTROL = "\x00\x07\b\t\n\v\f\r\x1b\x7f\x85\x9b"
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDING = "\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\ufeff\ue000\U000e0041\udc80\udcff"
PLAIN = "abc é陽[]=+-@'\"<>&{}%\\/"


KINDS = {
    "control characters": CONTROL,
    "bidirectional characters": TURNING,
    "invisible characters": HIDING,
    "half characters": "\ud800\udcff\udfff\udbff",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>\"' onload='x' &lt;b&gt; {{ 7 * 7 }} {% raw %} %s",
    "a formula": "=cmd|' /C calc'!A0",
    "another formula": "\t@SUM(1+9)*cmd",
    "a very long text": "long " * 4000,
    "a NUL": "before\0after",
    "lines": 'one\r\nmqi: two\n{"event":"started"}\n\n[31mthree\u2028four',
}


def odd_texts(*, without: str = "") -> st.SearchStrategy[str]:
    """Short texts, most of them with such characters."""
    letters = [char for char in CONTROL + TURNING + HIDING + PLAIN if char not in without]
    return st.text(st.sampled_from(letters), max_size=30)


def hidden(text: str) -> list[str]:
    """The characters of one line that a reader does not see, or that do something else than to be seen."""
    return [char for char in text if not char.isprintable()]


def strings(value: object) -> Iterator[str]:
    """Every text in a record, a JSON value or a list of them."""
    match value:
        case str():
            yield value
        case Mapping():
            for name, one in value.items():
                yield from (*strings(name), *strings(one))
        case list() | tuple():
            for one in value:
                yield from strings(one)
        case _ if is_dataclass(value):
            for one in fields(value):
                yield from strings(getattr(value, one.name))


MARKUP = "<img src='x'><b></para>&amp;&#0;{{7}}%s"
NAME = "n" + (CONTROL + TURNING + HIDING + MARKUP).encode("utf-8", "ignore").decode().replace("\x00", "") + "z"
CODE = "A\x07\b\x1b[2J\x7f\x85\x9b\u00adZ"  # of the character set that every reader of DICOM has


def spoil_texts(*objects: Dataset, but: Collection[str] = ()) -> None:
    """Put such characters into every name, label and code of DICOM objects, `but` of these keywords."""
    for ds in objects:
        if "SOPClassUID" in ds:
            ds.SpecificCharacterSet = "ISO_IR 192"
        for element in ds:
            if element.VR == "SQ":
                spoil_texts(*element.value, but=but)
            elif element.keyword not in {*but, *_NEEDED}:
                if element.VR in ("LO", "SH", "PN", "ST"):
                    element.value = f"{element.value}{NAME}" if element.VR != "PN" else NAME
                elif element.keyword in ("ApprovalStatus", "PlanIntent"):
                    element.value = CODE


# Their words decide how a file is read; other words are refused.
_NEEDED = frozenset({"PrivateCreator", "RescaleType"})
