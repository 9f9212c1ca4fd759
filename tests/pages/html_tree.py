"""A strict HTML tree: markup that a browser repairs silently is a fault.

The standard library's tokenizer reads the text. Every element must be closed by its own end tag, in order, because a
browser moves the content of elements that overlap, and closes a paragraph at the first block inside it.
"""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import NamedTuple

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
SILENT = frozenset({"head", "script", "style", "svg", "template", "title"})
"""Elements whose text is not text of the page."""

BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "details", "dialog", "div", "dl", "fieldset", "figcaption", "figure"}
    | {"footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "menu", "nav", "ol", "p", "pre"}
    | {"search", "section", "table", "ul"}
)
"""Elements before which a browser closes an open paragraph."""


_START = re.compile(r"""<([a-z][a-z0-9-]*)((?:\s+[^\s/>="'<]+(?:="[^"]*")?)*)\s*(/?)>""")
_ATTRIBUTE = re.compile(r"""\s+([^\s/>="'<]+)(?:="([^"]*)")?""")
_END = re.compile(r"</([a-z][a-z0-9-]*)>")
_RAW = frozenset(
    {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"}
)
"""Elements whose content the tokenizer reads in another way."""


class Fault(NamedTuple):
    """A rule that the page breaks, and the start tag or text that breaks it."""

    rule: str
    message: str
    snippet: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}: {self.snippet}"


class Element:
    """An element: its attributes (None's are ""), its children in order, and its start tag as it was written."""

    __slots__ = ("attributes", "children", "parent", "start_tag", "tag")

    def __init__(self, tag: str, attributes: dict[str, str], parent: "Element | None", start_tag: str) -> None:
        self.tag, self.attributes, self.parent, self.start_tag = tag, attributes, parent, start_tag
        self.children: list[Element | str] = []

    def get(self, name: str) -> str:
        return self.attributes.get(name, "")

    def ancestors(self) -> Iterator["Element"]:
        """From the parent up to the root."""
        element = self.parent
        while element is not None:
            yield element
            element = element.parent

    def closest(self, *tags: str) -> "Element | None":
        """The nearest ancestor with one of these tags."""
        return next((element for element in self.ancestors() if element.tag in tags), None)

    def text(self) -> str:
        """The text inside, with the alternative texts of images."""
        parts = []
        for child in self.children:
            if isinstance(child, str):
                parts.append(child)
            elif child.tag == "img":
                parts.append(child.get("alt"))
            elif child.tag not in SILENT:
                parts.append(child.text())
        return "".join(parts)


class Tree(HTMLParser):
    """`elements` in document order, the non-blank `texts` with their elements, and the `faults` of the markup."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {}, None, "")
        self.elements: list[Element] = []
        self.texts: list[tuple[Element, str]] = []
        self.faults: list[Fault] = []
        self.doctype = False
        self._open = self.root
        self._start_tag: str | None = None
        self.feed(source)
        self.close()
        for element in [self._open, *self._open.ancestors()][:-1]:
            self.faults.append(Fault("nesting", "the element is never closed", element.start_tag))

    def all(self, *tags: str) -> list[Element]:
        """The elements with one of these tags, in document order."""
        return [element for element in self.elements if element.tag in tags]

    def parse_starttag(self, i: int) -> int:
        """Read a usual start tag with one pattern, in a third of the tokenizer's time, which reads all others."""
        match = _START.match(self.rawdata, i)
        if match is None or match[1] in _RAW:
            self._start_tag = None
            return super().parse_starttag(i)
        self._start_tag = match[0]
        attributes: list[tuple[str, str | None]] = [
            (name.lower(), unescape(value) if "&" in value else value) for name, value in _ATTRIBUTE.findall(match[2])
        ]
        (self.handle_startendtag if match[3] else self.handle_starttag)(match[1], attributes)
        return match.end()

    def parse_endtag(self, i: int) -> int:
        match = _END.match(self.rawdata, i)
        if match is None or self.cdata_elem is not None:
            return super().parse_endtag(i)
        self.handle_endtag(match[1])
        return match.end()

    def get_starttag_text(self) -> str | None:
        return self._start_tag or super().get_starttag_text()

    def updatepos(self, i: int, j: int) -> int:
        """Lines are not counted."""
        return j

    def handle_decl(self, decl: str) -> None:
        self.doctype = self.doctype or decl.lower() == "doctype html"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = self._add(tag, attrs)
        if tag not in VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = self._add(tag, attrs)
        if tag not in VOID and element.closest("svg") is None:
            self.faults.append(Fault("nesting", "HTML ignores the slash of an element", element.start_tag))
            self._open = element

    def handle_endtag(self, tag: str) -> None:
        if self._open.tag == tag and self._open.parent is not None:
            self._open = self._open.parent
            return
        inside = self._open.start_tag or "nothing"
        self.faults.append(Fault("nesting", f"</{tag}> closes another element than the innermost", inside))
        matching = next((element for element in self._open.ancestors() if element.tag == tag), None)
        if matching is not None and matching.parent is not None:
            self._open = matching.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)
        if not data.isspace():
            self.texts.append((self._open, data))

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        start_tag = self.get_starttag_text() or ""
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, self._open, start_tag)
        if len(attributes) < len(attrs):
            self.faults.append(Fault("nesting", "an attribute occurs twice", start_tag))
        if tag in BLOCKS and (scope := element.closest("p", "button", "td", "dialog")) and scope.tag == "p":
            self.faults.append(Fault("nesting", "a browser closes the paragraph before this block", start_tag))
        self._open.children.append(element)
        self.elements.append(element)
        return element
