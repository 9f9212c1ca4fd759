"""The rules of pages, fragments for htmx and HTML mails. The tests check every response they fetch."""

from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from tests.pages.html_tree import Element, Fault, Tree

Answers = Callable[[str, str], bool]
"""`answers(path, method)`: whether the application has a route for it."""

PRODUCT = "Qist"
LANDMARKS = frozenset({"header", "nav", "main", "aside", "footer", "dialog"})
LANDMARK_ROLES = frozenset({"alert", "alertdialog", "dialog", "region", "status"})
NEED_NO_LABEL = frozenset({"hidden", "submit", "button", "reset", "image"})
REFERENCES = (
    "aria-controls",
    "aria-describedby",
    "aria-labelledby",
    "aria-owns",
    "commandfor",
    "for",
    "form",
    "headers",
)
INTERACTIVE = frozenset({"a", "button", "details", "iframe", "input", "label", "select", "summary", "textarea"})
SINGLE_CONTROL = frozenset({"a", "button", "summary"})
"""Elements that are a control, so that they contain no other control."""

NEED_NO_TOKEN: frozenset[str] = frozenset()
"""Prefixes of form actions that need no csrf token, because their address is signed. At present there is none."""


def page_faults(tree: Tree, answers: Answers) -> list[Fault]:
    """The rules that a whole page breaks."""
    return [*_common(tree, answers), *_document(tree), *_references(tree), *_landmarks(tree)]


def fragment_faults(tree: Tree, answers: Answers) -> list[Fault]:
    """The rules that a response to htmx breaks. Its references may point into the page around it."""
    faults = [*_common(tree, answers), *_out_of_band(tree)]
    if tree.doctype:
        faults.append(Fault("doctype", "htmx would put a whole page inside the page", "<!doctype html>"))
    return faults


def mail_faults(tree: Tree) -> list[Fault]:
    """The rules that the HTML part of a mail breaks."""
    faults = [*tree.faults, *_unique_ids(tree), *_named(tree), *_title(tree)]
    if not any(element.get("lang") for element in tree.all("html")):
        faults.append(Fault("language", "the document says no language", "<html>"))
    faults += [Fault("heading", "a second h1", element.start_tag) for element in tree.all("h1")[1:]]
    for element in tree.all("a"):
        if not element.get("href").startswith(("https://", "http://", "mailto:", "tel:")):
            faults.append(Fault("link", "a mail needs the whole address", element.start_tag))
    return faults


def _common(tree: Tree, answers: Answers) -> Iterator[Fault]:
    yield from tree.faults
    yield from _unique_ids(tree)
    yield from _labels(tree)
    yield from _named(tree)
    yield from _nested_controls(tree)
    yield from _forms(tree, answers)
    yield from _links(tree, answers)


def _document(tree: Tree) -> Iterator[Fault]:
    if not tree.doctype:
        yield Fault("doctype", "a browser needs a whole page", tree.elements[0].start_tag if tree.elements else "")
    if not any(element.get("lang") for element in tree.all("html")):
        yield Fault("language", "the document says no language", "<html>")
    yield from _title(tree)
    headings = [element for element in tree.all("h1") if element.closest("template") is None]
    if len(headings) != 1:
        yield Fault("heading", f"{len(headings)} h1 instead of 1", ", ".join(h.start_tag for h in headings) or "<body>")
    for element in headings:
        if not element.text().strip():
            yield Fault("heading", "the h1 is empty", element.start_tag)


def _title(tree: Tree) -> Iterator[Fault]:
    titles = [element for element in tree.all("title") if element.closest("svg") is None]
    text = " ".join("".join(child for child in title.children if isinstance(child, str)) for title in titles).strip()
    if len(titles) != 1 or not text or text == PRODUCT:
        yield Fault("title", "the document needs one title of its own", f"<title>{text}</title>")


def _unique_ids(tree: Tree) -> Iterator[Fault]:
    ids = Counter(element.attributes["id"] for element in tree.elements if "id" in element.attributes)
    for id_, count in ids.items():
        if count > 1 or not id_ or " " in id_:
            yield Fault("id", f"{count} elements have this id" if count > 1 else "no valid id", f'id="{id_}"')


def _labels(tree: Tree) -> Iterator[Fault]:
    fields = tree.all("input", "select", "textarea")
    if not fields:
        return
    label_texts = {element.get("for"): element.text().strip() for element in tree.all("label") if element.get("for")}
    ids = {element.get("id") for element in tree.elements if element.get("id")}
    for field in fields:
        if field.tag == "input" and field.get("type") in NEED_NO_LABEL:
            continue
        wrapping = field.closest("label")
        labelled_by = field.get("aria-labelledby").split()
        if not (
            label_texts.get(field.get("id") or "-")
            or (wrapping is not None and wrapping.text().strip())
            or field.get("aria-label").strip()
            or (labelled_by and ids.issuperset(labelled_by))
        ):
            yield Fault("label", "the field has no label", field.start_tag)


def _named(tree: Tree) -> Iterator[Fault]:
    """Links, buttons and summaries have a text or a label, images an alternative text."""
    for element in tree.elements:
        if element.tag in SINGLE_CONTROL:
            if not (element.get("aria-label").strip() or element.get("aria-labelledby") or element.text().strip()):
                yield Fault("name", "the control has neither text nor label", element.start_tag)
        elif element.tag == "img" and "alt" not in element.attributes:
            yield Fault("name", "the image has no alternative text", element.start_tag)


def _nested_controls(tree: Tree) -> Iterator[Fault]:
    for element in tree.elements:
        if element.tag == "form" and element.closest("form") is not None:
            yield Fault("nesting", "a form inside a form", element.start_tag)
        elif element.tag == "label" and element.closest("label") is not None:
            yield Fault("nesting", "a label inside a label", element.start_tag)
        is_control = element.tag in INTERACTIVE or "tabindex" in element.attributes
        if is_control and element.get("type") != "hidden" and (outer := element.closest(*SINGLE_CONTROL)) is not None:
            yield Fault("nesting", f"a control inside <{outer.tag}>", element.start_tag)


def _forms(tree: Tree, answers: Answers) -> Iterator[Fault]:
    tokens = {
        id(field.closest("form"))
        for field in tree.all("input")
        if field.get("name") == "csrf_token" and field.get("value")
    }
    for form in tree.all("form"):
        method, action = form.get("method").upper() or "GET", form.get("action")
        if method == "DIALOG":
            if form.closest("dialog") is None:
                yield Fault("form", "a form that closes a dialog stands outside of one", form.start_tag)
            continue
        if not answers(action, method):
            yield Fault("form", f"no route answers {method} {action!r}", form.start_tag)
        if method == "POST" and id(form) not in tokens and not action.startswith(tuple(NEED_NO_TOKEN)):
            yield Fault("csrf", "the form has no csrf token", form.start_tag)
    for element in tree.elements:
        for name, value in element.attributes.items():
            method = {"formaction": "POST", "hx-post": "POST", "hx-get": "GET", "hx-delete": "DELETE"}.get(name, "")
            if method and not answers(value, method):
                yield Fault("form", f"no route answers {method} {value!r}", element.start_tag)
            if name == "hx-post" and id(element if element.tag == "form" else element.closest("form")) not in tokens:
                yield Fault("csrf", "the request of htmx has no csrf token", element.start_tag)


def _links(tree: Tree, answers: Answers) -> Iterator[Fault]:
    for element in tree.all("a"):
        address = element.get("href")
        if address.startswith(("#", "https://", "http://", "mailto:", "tel:")):
            continue
        if address.startswith("webcal://"):  # an address of this installation, which a calendar program opens
            address = urlsplit(address).path
        if not answers(address, "GET"):
            yield Fault("link", f"no route answers GET {address!r}", element.start_tag)


def _references(tree: Tree) -> Iterator[Fault]:
    ids = {element.get("id") for element in tree.elements if "id" in element.attributes}
    for element in tree.elements:
        for name, value in element.attributes.items():
            if name in REFERENCES:
                missing = [id_ for id_ in value.split() if id_ not in ids] or ([""] if not value.strip() else [])
            elif name in ("href", "hx-target", "hx-include") and value.startswith("#"):
                missing = [value] if value[1:].partition(" ")[0] not in ids else []
            else:
                continue
            if missing:
                yield Fault("reference", f"{name} points to a missing {' '.join(missing)!r}", element.start_tag)


def _landmarks(tree: Tree) -> Iterator[Fault]:
    mains = tree.all("main")
    if len(mains) != 1:
        yield Fault("landmark", f"{len(mains)} main instead of 1", "<body>")
    for element, text in tree.texts:
        if not _in_landmark(element):
            yield Fault("landmark", "text outside of every landmark", f"{element.start_tag}{text.strip()[:60]}")


def _in_landmark(element: Element) -> bool:
    """Also true for the skip link, which precedes the landmarks, and for invisible text."""
    for ancestor in (element, *element.ancestors()):
        if (
            ancestor.tag in LANDMARKS
            or ancestor.get("role") in LANDMARK_ROLES
            or ancestor.tag in ("head", "script", "template")
        ):
            return True
        if ancestor.tag == "section" and (ancestor.get("aria-label") or ancestor.get("aria-labelledby")):
            return True
        if ancestor.tag == "a" and ancestor.get("class") == "skip-link" and ancestor.get("href").startswith("#"):
            return True
    return False


def _out_of_band(tree: Tree) -> Iterator[Fault]:
    """htmx takes a part out of its <template> by the id and hx-swap-oob of the part's root element."""
    for template in tree.all("template"):
        roots = [child for child in template.children if isinstance(child, Element)]
        if len(roots) != 1 or not roots[0].get("id") or not roots[0].get("hx-swap-oob"):
            yield Fault("out of band", "the part needs one root with id and hx-swap-oob", template.start_tag)
