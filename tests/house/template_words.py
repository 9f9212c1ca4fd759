"""Words of a template that gettext does not see, found in the syntax tree of Jinja and in the HTML around it."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from jinja2 import Environment, nodes

GETTEXT: Final = {"_": 1, "gettext": 1, "ngettext": 2, "pgettext": 2, "npgettext": 3}
"""Each function of gettext with its number of literal arguments."""
CONTEXTS: Final = frozenset({"pgettext", "npgettext"})
"""Functions whose first argument is a note for translators."""
SPOKEN: Final = frozenset(
    {
        "alt",
        "aria-description",
        "aria-label",
        "aria-roledescription",
        "aria-valuetext",
        "data-copied",  # app.js shows it on the button
        "data-label",  # the style sheet shows it beside the cell on a phone
        "label",
        "placeholder",
        "title",
    }
)
"""Attributes that carry text for people."""
TEXT_ARGUMENTS: Final = frozenset(
    {
        "action_text",
        "aria_label",
        "back_text",
        "caption",
        "help",
        "label",
        "next_text",
        "note",
        "placeholder",
        "prev_text",
        "subtitle",
        "suffix",
        "text",
        "title",
    }
)
"""Named arguments of macros that carry text for people."""
WORD: Final = re.compile(r"[^\W\d_]{2,}")
PROSE: Final = re.compile(r"[A-Z][a-z]|[^\W\d_]{2,}[.,:;?!]? +[^\W\d_]{2,}")
"""A string that looks like a sentence or a label: codes, addresses and names of icons have no capital and no blank."""
PLACEHOLDER: Final = re.compile(r"%\((\w+)\)s")

ENVIRONMENT: Final = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
ENVIRONMENT.install_null_translations(newstyle=True)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Message:
    """A call of gettext: its literal texts, and the names of the values that it is given."""

    line: int
    function: str
    texts: tuple[str | None, ...]
    values: frozenset[str]


@dataclass(slots=True)
class _Html:
    """The place in the HTML: between tags, inside a tag, or inside the value of an attribute."""

    inside: str = ""
    attribute: str = ""
    quote: str = ""
    name: str = ""
    spoken: list[str] = field(default_factory=list)

    def read(self, text: str) -> None:
        """Read template data; `spoken` gets the parts that people read."""
        for character in text:
            if self.quote:
                self._read_value(character)
            elif self.inside:
                self._read_tag(character)
            elif character == "<":
                self.inside = "<"
                self.name = ""
            else:
                self.spoken.append(character)

    @property
    def people_read(self) -> bool:
        """Whether text at this place is read by people."""
        return self.attribute in SPOKEN if self.quote else not self.inside

    def _read_tag(self, character: str) -> None:
        if character == ">":
            self.inside = ""
            self.spoken.append(" ")
        elif character in "\"'":
            self.quote, self.attribute = character, self.name.rstrip("=")
        elif character.isspace():
            self.name = ""
        else:
            self.name += character

    def _read_value(self, character: str) -> None:
        if character == self.quote:
            self.quote = self.name = ""
            self.spoken.append(" ")
        elif self.people_read:
            self.spoken.append(character)


@cache
def parse(source: str) -> nodes.Template:
    """The syntax tree of a template."""
    return ENVIRONMENT.parse(source)


@cache
def words_outside(source: str) -> list[tuple[int, str]]:
    """Line and text of everything that people would read and that is in no message of gettext."""
    tree = parse(source)
    texts: list[tuple[int, str]] = []
    place = _Html()
    for node in _outputs(tree):
        if isinstance(node, nodes.TemplateData):
            place.spoken.clear()
            place.read(node.data)
            text = html.unescape("".join(place.spoken))
            if WORD.search(text):
                texts.append((node.lineno, " ".join(text.split())))
        elif place.people_read:
            texts += [(node.lineno, text) for text in _strings(node) if WORD.search(text)]
    texts += [(const.lineno, const.value) for const in _constants(tree) if PROSE.search(const.value)]
    for argument in tree.find_all(nodes.Keyword):
        if argument.key in TEXT_ARGUMENTS:
            texts += [(argument.lineno, text) for text in _strings(argument.value) if WORD.search(text)]
    return sorted(set(texts))


def messages(source: str) -> Iterator[Message]:
    """Every call of gettext. A text that is no literal is None."""
    for call in parse(source).find_all(nodes.Call):
        if (function := _gettext(call)) is not None:
            texts = call.args[: GETTEXT[function]]
            literals = tuple(node.value if isinstance(node, nodes.Const) else None for node in texts)
            named = frozenset(keyword.key for keyword in call.kwargs)
            yield Message(call.lineno, function, literals, named)


def assigned_names(source: str) -> set[str]:
    """The names that the template assigns or imports."""
    tree = parse(source)
    names = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")}
    names |= {macro.name for macro in tree.find_all(nodes.Macro)}
    for imported in tree.find_all(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in imported.names}
    return names | {imported.target for imported in tree.find_all(nodes.Import)}


def imported_templates(source: str) -> set[str]:
    """The templates that this one imports."""
    imports = [*parse(source).find_all(nodes.Import), *parse(source).find_all(nodes.FromImport)]
    return {node.template.value for node in imports if isinstance(node.template, nodes.Const)}


def messages_outside_macros(source: str) -> list[int]:
    """The lines of the calls of gettext that run when the template is imported."""
    tree = parse(source)
    inside = {id(call) for macro in tree.find_all(nodes.Macro) for call in macro.find_all(nodes.Call)}
    return [call.lineno for call in tree.find_all(nodes.Call) if _gettext(call) and id(call) not in inside]


def _gettext(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in GETTEXT:
        return node.node.name
    return None


def _outputs(node: nodes.Node) -> Iterator[nodes.Node]:
    """Template data and expressions of output, in the order of the source."""
    if isinstance(node, nodes.Output):
        yield from node.nodes
    else:
        for child in node.iter_child_nodes():
            yield from _outputs(child)


def _strings(node: nodes.Node) -> Iterator[str]:
    """The literal strings that the expression can return or contain in its text."""
    if isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, nodes.CondExpr):
        yield from _strings(node.expr1)
        if node.expr2 is not None:
            yield from _strings(node.expr2)
    elif isinstance(node, nodes.BinExpr):
        yield from _strings(node.left)
        yield from _strings(node.right)
    elif isinstance(node, nodes.Concat):
        for part in node.nodes:
            yield from _strings(part)
    elif isinstance(node, nodes.Filter):
        if node.node is not None:
            yield from _strings(node.node)
        for argument in node.args if node.name in ("default", "d", "join") else []:
            yield from _strings(argument)
    elif isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Dict):
        for pair in node.node.items:
            yield from _strings(pair.value)
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        yield from _strings(node.node.node)


def _constants(node: nodes.Node) -> Iterator[nodes.Const]:
    """Every literal string, except the messages of gettext and names of templates."""
    if isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            yield node
        return
    if isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends):
        return
    function = _gettext(node)
    messages = node.args[: GETTEXT[function]] if function and isinstance(node, nodes.Call) else []
    for child in node.iter_child_nodes():
        if not any(child is message and isinstance(child, nodes.Const) for message in messages):
            yield from _constants(child)
