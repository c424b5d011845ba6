"""What a report consists of, before it is HTML or PDF. Both are made from this alone, so that they say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, in two columns."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text. Cells of the column `word` hold a verdict's word and are coloured by it."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]  # of the columns, relative
    outcome_column: int | None = None
    numbers: tuple[int, ...] = ()  # columns that are aligned to the right


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with what it shows, for those who cannot see it too."""

    png: bytes
    caption: str
    width: float = 1.0  # of the text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class SignatureLines:
    """Lines to be filled in by hand."""

    rows: tuple[str, ...]


Block = Facts | Table | Picture | Paragraph | SignatureLines


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

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
    banner: str  # across everything when the dose must not be used; else ""
    footer: str  # on each page of the PDF
    made: str  # UTC, ISO 8601: the time of the verdict, so that the same content gives the same bytes
    sections: tuple[Section, ...] = field(default_factory=tuple)


def texts(page: Page) -> Sequence[str]:
    """Every text of a page in order, for whoever wants to compare two of its forms."""
    found = [page.statement, page.title, page.outcome_text, page.why]
    for section in page.sections:
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
                case SignatureLines(rows):
                    found += rows
    return [text for text in found if text]
