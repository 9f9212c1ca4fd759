"""The bundle of the style sheet, which has one file a component.

static/css/qist.css imports the files in cascade order. The bundle replaces each import with the text of its file, so a
page needs one request for all of them.
"""

import re
from pathlib import Path

IMPORT = re.compile(r'^@import "([^"]+)"(?: layer\(([a-z]+)\))?;$', re.M)


def bundle(sheet: Path) -> str:
    """The sheet with its imports replaced. Raises ValueError for an unsupported form of import.

    An import's layer() becomes an @layer block. Addresses in url() stay relative to `sheet`: a file with url() must be
    in the same folder.
    """

    def text(imported: re.Match[str]) -> str:
        file, layer = imported.groups()
        content = (sheet.parent / file).read_text(encoding="utf-8")
        return f"@layer {layer} {{\n{content}}}" if layer else content

    bundled = IMPORT.sub(text, sheet.read_text(encoding="utf-8"))
    if "@import" in bundled:
        raise ValueError(f"{sheet} or a file it imports has an @import that is not a line of its own")
    return bundled
