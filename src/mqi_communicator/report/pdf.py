"""A report as PDF with an embedded font. Equal pages give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from matplotlib import font_manager
from reportlab import platypus, rl_config
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    HRFlowable,
    Image,
    KeepInFrame,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    TableStyle,
)
from reportlab.platypus import Table as Rows

from mqi_communicator.report.drawing import glyphs
from mqi_communicator.report.page import Block, Facts, Page, Paragraph, Picture, Section, SignatureLines, Table
from mqi_communicator.report.text import drawable

_MM = 72 / 25.4
_SIZE = (210 * _MM, 297 * _MM)
_SIDE, _TOP, _BOTTOM = 13 * _MM, 19 * _MM, 16 * _MM
_TEXT = _SIZE[0] - 2 * _SIDE
SIGNATURE_PLACE = "Signature"  # entry of the outline, whose target is the rectangle of the signature form
SIGNATURE_BOX = (_SIDE, _BOTTOM, _TEXT, 46 * _MM)  # x, y, width, height in points, from below: of the first page
INK, SOFT, LINE = "#1b1f24", "#5b6570", "#d5dae0"
COLOURS = {
    "pass": "#14692b",
    "review": "#8a5a00",
    "undecided": "#7a4d00",
    "not_judged": "#6a1b9a",
    "fail": "#b3141d",
    "met": "#14692b",
    "not_met": "#b3141d",
}


class _Styles:
    """Paragraph styles."""

    def __init__(self) -> None:
        def style(name: str, size: float, *, bold: bool = False, colour: str = INK, **more: Any) -> ParagraphStyle:
            font = "DejaVu-Bold" if bold else "DejaVu"
            return ParagraphStyle(
                name, fontName=font, fontSize=size, leading=1.32 * size, textColor=colour, splitLongWords=1, **more
            )

        self.title = style("title", 13.5, bold=True, spaceBefore=4, spaceAfter=4)
        self.heading = style("heading", 10.5, bold=True, spaceBefore=8, spaceAfter=3, keepWithNext=1)
        self.outcome = style("outcome", 15, bold=True)
        self.text = style("text", 8)
        self.small = style("small", 7, colour=SOFT, spaceAfter=4)
        self.caption = style("caption", 7, colour=SOFT, spaceAfter=7)
        self.cell = style("cell", 6.9)
        self.bold = style("bold", 6.9, bold=True)
        self.number = style("number", 6.9, alignment=2)
        self.head = style("head", 6.9, bold=True)
        self.head_number = style("head_number", 6.9, bold=True, alignment=2)
        self.white = style("white", 9, bold=True, colour="#ffffff")


rl_config.useA85 = 0  # pictures as bytes; as text they are a quarter larger and take longer than the drawing


def pdf(page: Page) -> bytes:
    """The report on A4. Characters that the font lacks are shown as `[U+967D]`."""
    register_fonts()
    known = glyphs()

    def clean(text: str) -> str:
        return drawable(text, known)

    styles = _Styles()
    held = io.BytesIO()
    document = BaseDocTemplate(
        held,
        pagesize=_SIZE,
        title=clean(page.title),
        author="MQI Communicator",
        subject=clean(page.statement),
        invariant=1,
        pageCompression=1,
    )
    first = [] if page.signature is None else [_summary_template(_form(page.signature, styles, clean))]
    document.addPageTemplates([*first, _template("details", 0)])
    document.build(
        _story(page, styles, clean), canvasmaker=_canvas(clean(page.footer), clean(page.statement), page.made)
    )
    return held.getvalue()


def _template(name: str, reserved: float, draw: Callable[[Any, Any], None] = lambda *_: None) -> PageTemplate:
    """A page whose text ends `reserved` points above the margin."""
    bottom = _BOTTOM + reserved
    frame = Frame(_SIDE, bottom, _TEXT, _SIZE[1] - _TOP - bottom, 0, 0, 0, 0, id=name)
    return PageTemplate(id=name, frames=[frame], onPage=draw)


def _summary_template(form: Callable[[Any, Any], None]) -> PageTemplate:
    """The first page, with the form at its end."""
    return _template("summary", SIGNATURE_BOX[3] + 4 * _MM, form)


def register_fonts() -> None:
    """Register DejaVu and DejaVu-Bold from matplotlib, which has Greek, Cyrillic and the symbols that are used."""
    for name, weight in (("DejaVu", "normal"), ("DejaVu-Bold", "bold")):
        if name not in pdfmetrics.getRegisteredFontNames():
            path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
            pdfmetrics.registerFont(TTFont(name, path))


def _canvas(footer: str, statement: str, made: str) -> type:
    """A canvas that adds header and footer when the number of pages is known. `made`: its date, UTC, ISO 8601."""
    date = f"D:{datetime.fromisoformat(made):%Y%m%d%H%M%S}Z" if made else ""

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []
            self.signature_place: tuple[float, float, float, float] | None = None  # set by `_form`
            if date:
                self.setDateFormatter(lambda *_: date)

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self.signature_place = None
            self._startPage()

        def save(self) -> None:
            for number, state in enumerate(self._pages, start=1):
                self.__dict__.update(state)
                self._margins(number, len(self._pages))
                if self.signature_place is not None:  # bookmarked now, when the page exists
                    left, bottom, right, top = self.signature_place
                    self.bookmarkPage(SIGNATURE_PLACE, "FitR", left=left, bottom=bottom, right=right, top=top)
                    self.addOutlineEntry(SIGNATURE_PLACE, SIGNATURE_PLACE)
                super().showPage()
            super().save()

        def _margins(self, number: int, pages: int) -> None:
            self.setFillColor(INK)
            self.rect(0, _SIZE[1] - 11 * _MM, _SIZE[0], 11 * _MM, stroke=0, fill=1)
            self.setFillColor("#ffffff")
            self.setFont("DejaVu-Bold", 8.2)
            self.drawString(_SIDE, _SIZE[1] - 7 * _MM, statement)
            self.setFillColor(SOFT)
            self.setFont("DejaVu", 6.5)
            self.drawString(_SIDE, 9 * _MM, footer)
            self.drawRightString(_SIZE[0] - _SIDE, 9 * _MM, f"page {number} of {pages}")

    return Numbered


def _story(page: Page, styles: _Styles, clean: Callable[[str], str]) -> list[Any]:
    def paragraph(text: str, style: ParagraphStyle) -> Any:
        return platypus.Paragraph(escape(clean(text)) or "&nbsp;", style)

    first: list[Any] = [paragraph(page.title, styles.title), _verdict(page, styles, paragraph)]
    if page.banner:
        first.append(_band(page.banner, "#7a1fa2", styles, paragraph))
    for section in page.summary:
        first += _section(section, styles, paragraph)
    if page.signature is None:
        return [*first, *(flowable for section in page.sections for flowable in _section(section, styles, paragraph))]
    high = _SIZE[1] - _TOP - _BOTTOM - SIGNATURE_BOX[3] - 4 * _MM
    story: list[Any] = [
        KeepInFrame(_TEXT + 1, high, first, mode="shrink"),
        NextPageTemplate("details"),
        PageBreak(),
    ]
    for section in page.sections:
        story += _section(section, styles, paragraph)
    return story


def _form(form: SignatureLines, styles: _Styles, clean: Callable[[str], str]) -> Callable[[Any, Any], None]:
    """Draws the form to be signed into SIGNATURE_BOX."""

    def draw(canvas: Any, _document: Any) -> None:
        x, y, width, height = SIGNATURE_BOX
        names = form.rows
        rows = [[paragraph(name, styles.bold) for name in names[row : row + 2]] for row in range(0, len(names), 2)]
        top = y + height
        for part in (
            paragraph("Signature", styles.heading),
            paragraph(form.note, styles.small),
            _table(rows, (0.5, 0.5), height=9.5 * _MM, head=True),
        ):
            _wide, high = part.wrapOn(canvas, width, height)
            part.drawOn(canvas, x, top - high)
            canvas.signature_place = (x, top - high, x + width, top)  # of the last part, the form
            top -= high + 1.5 * _MM

    def paragraph(text: str, style: ParagraphStyle) -> Any:
        return platypus.Paragraph(escape(clean(text)), style)

    return draw


def _section(section: Section, styles: _Styles, paragraph: Callable[..., Any]) -> list[Any]:
    story: list[Any] = [CondPageBreak(30 * _MM)]
    head = [
        paragraph(section.title, styles.heading),
        HRFlowable(width=_TEXT, thickness=0.9, color=INK, spaceBefore=0, spaceAfter=3),
    ]
    parts = [_block(block, styles, paragraph) for block in section.blocks]
    if isinstance(section.blocks[0], Picture):  # keep a heading with its picture
        parts[0] = [*head, *parts[0]]
    else:
        story += head
    for block, part in zip(section.blocks, parts, strict=True):
        story += [KeepTogether(part)] if isinstance(block, Picture) else part
    return story


def _block(block: Block, styles: _Styles, paragraph: Callable[..., Any]) -> list[Any]:
    match block:
        case Facts(pairs=pairs):
            cells = [
                [cell for name, value in line for cell in (paragraph(name, styles.bold), paragraph(value, styles.cell))]
                for line in block.lines
            ]
            return [_table(cells, (0.24, 0.76) if pairs == 1 else (0.15, 0.35) * pairs)]
        case Table():
            return [_rows(block, styles, paragraph)]
        case Picture():
            return _picture(block, paragraph(block.caption, styles.caption))
        case Paragraph(text, small):
            return [paragraph(text, styles.small if small else styles.text)]


def _rows(table: Table, styles: _Styles, paragraph: Callable[..., Any]) -> Any:
    def style(column: int, text: str) -> ParagraphStyle:
        if column == table.outcome_column:
            return ParagraphStyle("w", parent=styles.bold, textColor=COLOURS.get(text.replace(" ", "_"), INK))
        return styles.number if column in table.numbers else styles.cell

    heads = [
        paragraph(name, styles.head_number if column in table.numbers else styles.head)
        for column, name in enumerate(table.headings)
    ]
    body = [[paragraph(text, style(column, text)) for column, text in enumerate(row)] for row in table.rows]
    total = sum(table.widths)
    return _table([heads, *body], tuple(width / total for width in table.widths), head=True)


def _table(
    cells: list[list[Any]], widths: tuple[float, ...], *, head: bool = False, height: float | None = None
) -> Any:
    made = Rows(
        cells,
        colWidths=[_TEXT * width for width in widths],
        rowHeights=None if height is None else [height] * len(cells),
        repeatRows=1 if head else 0,
        spaceAfter=5,
        hAlign="LEFT",
    )
    lines = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 2.5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2.5),
        ("TOPPADDING", (0, 0), (-1, -1), 1.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
    ]
    made.setStyle(TableStyle([*lines, ("LINEBELOW", (0, 0), (-1, 0), 0.8, SOFT)] if head else lines))
    return made


def _picture(block: Picture, caption: Any) -> list[Any]:
    width, height = ImageReader(io.BytesIO(block.png)).getSize()
    wide = _TEXT * block.width
    image = Image(io.BytesIO(block.png), width=wide, height=wide * height / width, hAlign="LEFT")
    return [image, caption]


def _verdict(page: Page, styles: _Styles, paragraph: Callable[..., Any]) -> Any:
    colour = COLOURS.get(page.outcome, INK)
    outcome = paragraph(page.outcome_text, ParagraphStyle("v", parent=styles.outcome, textColor=colour))
    wide = 0.34 if len(page.outcome_text) > 6 else 0.18  # noqa: PLR2004 - characters that fit the narrow column
    made = Rows(
        [[outcome, paragraph(page.why, styles.text)]],
        colWidths=[_TEXT * wide, _TEXT * (1 - wide)],
        spaceAfter=5,
        hAlign="LEFT",
    )
    made.setStyle([("BOX", (0, 0), (-1, -1), 1.4, colour), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
    return made


def _band(text: str, colour: str, styles: _Styles, paragraph: Callable[..., Any]) -> Any:
    made = Rows([[paragraph(text, styles.white)]], colWidths=[_TEXT], spaceAfter=5)
    made.setStyle([("BACKGROUND", (0, 0), (-1, -1), colour), ("BOTTOMPADDING", (0, 0), (-1, -1), 5)])
    return made
