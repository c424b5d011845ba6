"""Adds a signature to a report's PDF: as a stamp on its pages and as a page at its end.

It is an incremental update: the signed file begins with the bytes of the file that was signed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import Destination
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from mqi_communicator.report.drawing import glyphs
from mqi_communicator.report.page import Facts, Page, Paragraph, Section
from mqi_communicator.report.pdf import INK, SIGNATURE_PLACE, pdf, register_fonts
from mqi_communicator.report.text import drawable, one_line

_MM = 72 / 25.4
_SIDE = 13 * _MM
_BAND = (11.2 * _MM, 15.6 * _MM)  # from the bottom of a page: between its text and its footer
_SIZE = 7.0  # points
_GREEN, _RED = "#14692b", "#b3141d"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is stamped. `number`: the first or the second signature of these results."""

    number: int
    accepted: bool
    headline: str  # "ACCEPTED by Ann Example, Medical Physicist"
    lines: tuple[str, ...]  # below it
    facts: tuple[tuple[str, str], ...]  # for the page at the end
    title: str  # of that page
    statement: str
    made: str  # UTC, ISO 8601


def stamped(report: bytes, stamp: Stamp) -> bytes:
    """The report with a signature. Equal arguments give equal bytes. ValueError if it is not a readable PDF."""
    try:
        return _stamped(report, stamp)
    except Exception as error:  # pypdf raises errors of many types for a damaged file
        raise ValueError(f"the report's PDF cannot be read ({type(error).__name__})") from error


def _stamped(report: bytes, stamp: Stamp) -> bytes:
    register_fonts()
    writer = PdfWriter(io.BytesIO(report), incremental=True)
    place = _place(PdfReader(io.BytesIO(report)))
    if place is not None:
        page, rectangle = place
        _merge(writer.pages[page], _box(stamp, _half(rectangle, stamp.number), _size(writer.pages[page])))
    if place is None or place[0] != 0:
        _merge(writer.pages[0], _band(stamp, _size(writer.pages[0])))
    writer.add_page(PdfReader(io.BytesIO(_sheet(stamp))).pages[0])
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def _place(reader: PdfReader) -> tuple[int, tuple[float, float, float, float]] | None:
    """Index of the page and rectangle of the signature form; None if the report has none."""
    entries = [entry for entry in reader.outline if isinstance(entry, Destination)]
    found = next((entry for entry in entries if entry.title == SIGNATURE_PLACE), None)
    if found is None:
        return None
    number = reader.get_destination_page_number(found)
    edges = (found.left, found.bottom, found.right, found.top)
    if number is None or any(edge is None for edge in edges):
        return None
    left, bottom, right, top = (float(edge) for edge in edges if edge is not None)
    return number, (left, bottom, right, top)


def _half(rectangle: tuple[float, float, float, float], number: int) -> tuple[float, float, float, float]:
    """The left half is for the first signature, the right one for the second."""
    left, bottom, right, top = rectangle
    middle = (left + right) / 2
    return (left, bottom, middle - 2, top) if number == 1 else (middle + 2, bottom, right, top)


def _box(stamp: Stamp, rectangle: tuple[float, float, float, float], size: tuple[float, float]) -> bytes:
    left, bottom, right, top = rectangle

    def draw(canvas: Canvas) -> None:
        colour = _GREEN if stamp.accepted else _RED
        canvas.setFillColor("#ffffff")
        canvas.setStrokeColor(colour)
        canvas.setLineWidth(1.4)
        canvas.rect(left, bottom, right - left, top - bottom, stroke=1, fill=1)
        y = top - 5
        for text, font, ink in (
            (stamp.headline, "DejaVu-Bold", colour),
            *((line, "DejaVu", INK) for line in stamp.lines),
        ):
            canvas.setFillColor(ink)
            for part in _wrapped(text, font, right - left - 10):
                y -= 1.3 * _SIZE
                if y < bottom + 2:  # the rest is on the page at the end
                    return
                canvas.setFont(font, _SIZE)
                canvas.drawString(left + 5, y, part)

    return _drawn(draw, size)


def _band(stamp: Stamp, size: tuple[float, float]) -> bytes:
    """One line above the footer: the first signature on the left, the second on the right."""
    width = (size[0] - 2 * _SIDE) / 2 - 2
    left = _SIDE if stamp.number == 1 else size[0] / 2 + 2

    def draw(canvas: Canvas) -> None:
        colour = _GREEN if stamp.accepted else _RED
        low, high = _BAND
        canvas.setFillColor(colour)
        canvas.rect(left, low, width, high - low, stroke=0, fill=1)
        canvas.setFillColor("#ffffff")
        (first, *more) = _wrapped(stamp.headline, "DejaVu-Bold", width - 8)
        canvas.setFont("DejaVu-Bold", _SIZE)
        canvas.drawString(left + 4, low + 3.6, f"{first} …" if more else first)

    return _drawn(draw, size)


def _drawn(draw, size: tuple[float, float]) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
    held = io.BytesIO()
    canvas = Canvas(held, pagesize=size, invariant=1, pageCompression=1)
    draw(canvas)
    canvas.save()
    return held.getvalue()


def _wrapped(text: str, font: str, width: float) -> Sequence[str]:
    """Lines of at most `width` points."""
    lines = [""]
    for word in drawable(text, glyphs()).split():
        longer = f"{lines[-1]} {word}".strip()
        if pdfmetrics.stringWidth(longer, font, _SIZE) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _sheet(stamp: Stamp) -> bytes:
    """The page at the end, with all that signature.json says."""
    note = Paragraph(
        "This page and the stamps were added to report.pdf when it was signed. The file begins with the bytes of the "
        "file that was signed, and the signature names the digests of both.",
        small=True,
    )
    page = Page(
        title=stamp.title,
        statement=stamp.statement,
        outcome="pass" if stamp.accepted else "fail",  # its colour
        outcome_text="ACCEPTED" if stamp.accepted else "REJECTED",
        why=one_line(stamp.headline, 300),
        banner="",
        footer=stamp.title,
        made=stamp.made,
        sections=(Section(f"Signature {stamp.number}", (Facts(stamp.facts), note)),),
    )
    return pdf(page)


def _merge(page: PageObject, drawn: bytes) -> None:
    page.merge_page(PdfReader(io.BytesIO(drawn)).pages[0])


def _size(page: PageObject) -> tuple[float, float]:
    return float(page.mediabox.width), float(page.mediabox.height)
