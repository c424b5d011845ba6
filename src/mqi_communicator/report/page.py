"""The contents of a report. HTML and PDF are both generated from this, so that they have the same text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, in two columns; `pairs` of them side by side."""

    rows: tuple[tuple[str, str], ...]
    pairs: int = 1

    @property
    def lines(self) -> list[list[tuple[str, str]]]:
        """The rows as they are set: `pairs` in each line, filled up with empty ones."""
        filled = [*self.rows, *[("", "")] * (-len(self.rows) % self.pairs)]
        return [filled[at : at + self.pairs] for at in range(0, len(filled), self.pairs)]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text. Cells of `outcome_column` contain an outcome and are coloured by it."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]  # of the columns, relative
    outcome_column: int | None = None
    numbers: tuple[int, ...] = ()  # columns that are aligned to the right


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with a caption, which is also its alternative text."""

    png: bytes
    caption: str
    width: float = 1.0  # relative to the text width


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class SignatureLines:
    """Fields to fill in by hand."""

    rows: tuple[str, ...]
    note: str  # above them


Block = Facts | Table | Picture | Paragraph


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its contents."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    title: str
    statement: str  # the first line: what this is, and is not
    outcome: str  # of the verdict
    outcome_text: str  # as it is printed
    why: str
    banner: str  # warning below the verdict; "" if none
    footer: str  # of each page of the PDF
    made: str  # UTC, ISO 8601: the time of the verdict, not of drawing, so that equal content gives equal bytes
    sections: tuple[Section, ...] = field(default_factory=tuple)
    summary: tuple[Section, ...] = field(default_factory=tuple)  # with the verdict on one page, which is signed
    signature: SignatureLines | None = None  # at the end of that page; None if there is no such page


def texts(page: Page) -> Sequence[str]:
    """All texts of a page in order."""
    found = [page.statement, page.title, page.outcome_text, page.why]
    for section in (*page.summary, *page.sections):
        found.append(section.title)
        for block in section.blocks:
            match block:
                case Facts(rows):
                    found += [cell for row in rows for cell in row]
                case Table(headings, rows):
                    found += [*headings, *(cell for row in rows for cell in row)]
                case Picture(_, caption):
                    found.append(caption)
                case Paragraph(text):
                    found.append(text)
    found += [page.signature.note, *page.signature.rows] if page.signature is not None else []
    return [text for text in found if text]
