"""QR codes (ISO/IEC 18004) as the path of an inline SVG, which the Content-Security-Policy permits."""

from dataclasses import dataclass
from typing import Final

MARGIN: Final = 4
"""Modules of the quiet zone, as the standard demands."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A QR code: the side of its square in modules, margin included, and the SVG path of its dark modules."""

    size: int
    path: str


def draw(text: str) -> Drawing:
    """The QR code of a text, with error correction M."""
    import segno  # on its first use

    rows = [bytes(row) for row in segno.make(text, error="m", micro=False).matrix]
    parts = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end] == row[x]:
                end += 1
            if row[x]:
                parts.append(f"M{x + MARGIN} {y + MARGIN}h{end - x}v1h-{end - x}z")
            x = end
    return Drawing(len(rows) + 2 * MARGIN, "".join(parts))
