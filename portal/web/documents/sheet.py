"""A document on paper: headings, facts, tables and notes flow over pages with numbers.

The layout mirrors for a language that runs from right to left. Lengths are points, from the lower left corner.
"""

import io
from codecs import BOM_UTF16_BE
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flask_babel import gettext as _
from flask_babel import pgettext

from portal.domain import money
from portal.web import filters
from portal.web.documents import fonts, typeface

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

PAPERS: Final = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}
"""Width and height by name."""
MARGIN: Final = 48.0
FOOT: Final = 72.0
"""The height that the page's number keeps free."""
LEADING: Final = 1.5
GAP: Final = 12.0
LOGO: Final = (150.0, 54.0)
"""The largest width and height of a logo."""
LABEL: Final = 0.34
"""The part of the width that labels of facts take."""
FILLED, FILLED_AND_STROKED = 0, 2
"""Ways to draw letters. The second makes a font without a bold weight bold."""
STROKE: Final = 0.03
"""The width of that stroke, in sizes of the text."""
INK: Final = (0.09, 0.11, 0.15)
MUTED: Final = (0.36, 0.39, 0.45)


@dataclass(frozen=True, slots=True)
class Style:
    """Size in points, weight and colour of a text."""

    size: float = 10.0
    bold: bool = False
    colour: tuple[float, float, float] = INK

    @property
    def leading(self) -> float:
        """The height of a line in points."""
        return self.size * LEADING


TITLE: Final = Style(20.0, bold=True)
HEADING: Final = Style(12.0, bold=True)
BODY: Final = Style()
STRONG: Final = Style(bold=True)
SMALL: Final = Style(8.5, colour=MUTED)
CELL: Final = Style(9.0)
CELL_STRONG: Final = Style(9.0, bold=True)


@dataclass(frozen=True, slots=True)
class Text:
    """A line on a page: its left end, its base line, the logical text, and the style."""

    x: float
    y: float
    text: str
    style: Style


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, its part of the width, and whether it holds amounts."""

    title: str
    part: float
    is_amount: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """An image on a page: its left and lower end, its width and height, and its file."""

    x: float
    y: float
    width: float
    height: float
    file: bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a smaller text below its first one."""

    text: str
    below: str = ""
    strong: bool = False


class Sheet:
    """Pages that fill from the top."""

    def __init__(self, paper: str, *, rtl: bool) -> None:
        self.width, self.height = PAPERS[paper]
        self.rtl = rtl
        self.texts: list[list[Text]] = []
        self.rules: list[list[float]] = []
        self.pictures: list[list[Picture]] = []
        self.room = self.width - 2 * MARGIN
        self.y = 0.0
        self._turn()

    def bdi(self, text: object) -> str:
        """The value marked as a unit with a direction of its own."""
        return typeface.apart(str(text), rtl=self.rtl)

    def money(self, minor: int, currency: str) -> str:
        """Minor units of a currency as a unit: "SAR 1,200.00"."""
        return self.bdi(money.show(minor, currency))

    def moment(self, instant: datetime, zone: str) -> str:
        """An aware instant in local time of `zone`, which it names."""
        place = self.bdi(zone.replace("_", " "))
        return str(_("%(moment)s (%(zone)s)", moment=filters.moment(instant, zone), zone=place))

    def text(self, text: str, style: Style = BODY) -> None:
        """A paragraph."""
        self._flow(text, 0, self.room, style)

    def gap(self, height: float = GAP) -> None:
        """Empty space."""
        self.y -= height

    def rule(self) -> None:
        """A line across the page."""
        self.rules[-1].append(self.y)

    def image(self, file: bytes, width: int, height: int) -> None:
        """A PNG or JPEG of `width` by `height` pixels, within LOGO, where lines begin."""
        scale = min(LOGO[0] / width, LOGO[1] / height)
        across, tall = width * scale, height * scale
        self._need(tall + GAP)
        self.y -= tall
        left = MARGIN + (self.room - across if self.rtl else 0)
        self.pictures[-1].append(Picture(left, self.y, across, tall, file))
        self.gap(6)

    def facts(self, facts: Sequence[tuple[str, str] | None]) -> None:
        """Labels with their values, in two columns. A fact that is None is left out."""
        split = self.room * LABEL
        for label, value in filter(None, facts):
            left = typeface.lines(label, split - GAP, BODY.size)
            right = typeface.lines(value, self.room - split, BODY.size)
            self._need(max(len(left), len(right)) * BODY.leading)
            top = self.y
            for number, line in enumerate(left):
                self._put(line, top - (number + 1) * BODY.leading, 0, split, Style(colour=MUTED))
            for number, line in enumerate(right):
                self._put(line, top - (number + 1) * BODY.leading, split, self.room - split, BODY)
            self.y = top - max(len(left), len(right)) * BODY.leading

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """Rows that no page splits, with the headings on every page."""
        self._need(4 * CELL.leading)
        self._head(columns)
        for row in rows:
            broken = [self._broken(column, cell) for column, cell in zip(columns, row, strict=True)]
            height = max(sum(style.leading for _line, style in cell) for cell in broken)
            if self.y - height - 4 < FOOT:
                self._turn()
                self._head(columns)
            top, start = self.y - 2, 0.0
            for column, cell in zip(columns, broken, strict=True):
                y = top
                for line, style in cell:
                    y -= style.leading
                    self._put(line, y, start, column.part * self.room, style, end=column.is_amount)
                start += column.part * self.room
            self.y = top - height - 4
            self.rule()

    def pdf(self, *, title: str, author: str, language: str) -> bytes:
        """The file. Its metadata hold the title, the author and the language's code."""
        from reportlab.pdfgen.canvas import Canvas

        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(self.width, self.height), lang=language)
        canvas.setTitle(typeface.plain(title))
        canvas.setAuthor(typeface.plain(author))
        canvas.setCreator("Qist")
        with fonts.ALONE, fonts.cut(self._letters_of_cjk(title)) as cjk:
            self._draw_pages(canvas, title, cjk)
            canvas.save()
        return buffer.getvalue()

    def _draw_pages(self, canvas: "Canvas", title: str, cjk: str) -> None:
        """Draw and count all pages. `cjk` is the name of the font for letters of CJK."""
        from reportlab.lib.utils import ImageReader

        for number, (texts, rules, pictures) in enumerate(zip(self.texts, self.rules, self.pictures, strict=True), 1):
            canvas.setStrokeColorRGB(0.82, 0.84, 0.87)
            canvas.setLineWidth(0.6)
            for y in rules:
                canvas.line(MARGIN, y, self.width - MARGIN, y)
            for picture in pictures:
                image = ImageReader(io.BytesIO(picture.file))
                canvas.drawImage(image, picture.x, picture.y, picture.width, picture.height)
            count = len(self.texts)
            words = pgettext("foot of a document", "Page %(number)s of %(count)s", number=number, count=count)
            half = self.room / 2
            foot = [
                self._placed(typeface.lines(title, half, SMALL.size)[0], MARGIN, 0, half, SMALL),
                self._placed(str(words), MARGIN, half, half, SMALL, end=True),
            ]
            for text in (*texts, *foot):
                self._draw(canvas, text, cjk)
            canvas.showPage()

    def _letters_of_cjk(self, title: str) -> set[str]:
        """The letters of the document, and their mirror images, that its fonts for other scripts lack."""
        letters = set("".join([title, *(text.text for texts in self.texts for text in texts)]))
        found = {letter for letter in letters if fonts.font_of(letter, bold=False) == fonts.CJK}
        return found | set(map(typeface.mirrored, found))

    def _draw(self, canvas: "Canvas", text: Text, cjk: str) -> None:
        style, line = text.style, canvas.beginText(text.x, text.y)
        line.setFillColorRGB(*style.colour)
        line.setStrokeColorRGB(*style.colour)
        for name, piece in typeface.runs(typeface.visual(text.text, rtl=self.rtl), bold=style.bold):
            font, drawn = fonts.drawn(piece, name, style.size)
            line.setFont(cjk if font == fonts.CJK else font, style.size)
            line.setTextRenderMode(FILLED_AND_STROKED if style.bold and font in fonts.SINGLE else FILLED)
            if drawn == piece and max(piece) <= "\uffff":
                line.textOut(drawn)
            else:  # tells a reader's search what the forms stand for; reportlab's own table ends at U+FFFF
                said = (BOM_UTF16_BE + piece.encode("utf-16-be")).hex()
                line._code.append(f"/Span <</ActualText <{said}>>> BDC")
                line.textOut(drawn)
                line._code.append("EMC")
        line.setTextRenderMode(FILLED)
        canvas.setLineWidth(style.size * STROKE)
        canvas.drawText(line)

    def _head(self, columns: Sequence[Column]) -> None:
        start, style = 0.0, Style(8.5, bold=True, colour=MUTED)
        broken = [
            typeface.lines(column.title, column.part * self.room - 6, style.size, bold=True) for column in columns
        ]
        height = max(map(len, broken)) * style.leading
        for column, lines in zip(columns, broken, strict=True):
            for number, line in enumerate(lines, 1):
                y = self.y - number * style.leading
                self._put(line, y, start, column.part * self.room, style, end=column.is_amount)
            start += column.part * self.room
        self.y -= height + 4
        self.rule()

    def _broken(self, column: Column, cell: Cell) -> list[tuple[str, Style]]:
        room = column.part * self.room - 6
        style = CELL_STRONG if cell.strong else CELL
        first = typeface.lines(cell.text, room, style.size, bold=style.bold)
        below = typeface.lines(cell.below, room, SMALL.size) if cell.below else []
        return [*((line, style) for line in first), *((line, SMALL) for line in below)]

    def _flow(self, text: str, start: float, room: float, style: Style) -> None:
        for line in typeface.lines(text, room, style.size, bold=style.bold):
            self._need(style.leading)
            self.y -= style.leading
            self._put(line, self.y, start, room, style)

    def _put(self, line: str, y: float, start: float, room: float, style: Style, *, end: bool = False) -> None:
        """A line in a box that begins `start` points from the side where the language begins."""
        self.texts[-1].append(self._placed(line, y, start, room, style, end=end))

    def _placed(self, line: str, y: float, start: float, room: float, style: Style, *, end: bool = False) -> Text:
        free = room - typeface.width(line, style.size, bold=style.bold)
        left = MARGIN + (self.room - start - room if self.rtl else start)
        return Text(left + (free if end != self.rtl else 0), y + style.size * 0.4, line, style)

    def _need(self, height: float) -> None:
        """Begin a page unless `height` is free."""
        if self.y - height < FOOT:
            self._turn()

    def _turn(self) -> None:
        self.texts.append([])
        self.rules.append([])
        self.pictures.append([])
        self.y = self.height - MARGIN
