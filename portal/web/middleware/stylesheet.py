"""One style sheet for every page, made of one file a component.

static/css/qist.css imports the files in the order of the cascade. Each import becomes the text of its file, so a page
needs one request for all of them.
"""

import re
from pathlib import Path

IMPORT = re.compile(r'^@import "([^"]+)"(?: layer\(([a-z]+)\))?;$', re.M)


def bundle(sheet: Path) -> str:
    """The sheet with its imports replaced; ValueError for an import in a form that is not supported.

    An import's layer() becomes an @layer block. An address in url() is left as it is, relative to `sheet`: a file that
    holds one stands in the same folder.
    """

    def text(imported: re.Match[str]) -> str:
        file, layer = imported.groups()
        content = (sheet.parent / file).read_text(encoding="utf-8")
        return f"@layer {layer} {{\n{content}}}" if layer else content

    bundled = IMPORT.sub(text, sheet.read_text(encoding="utf-8"))
    if "@import" in bundled:
        raise ValueError(f"{sheet} or a file it imports has an @import that is not a line of its own")
    return bundled
