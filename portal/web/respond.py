"""Answers to browsers. The only file that knows htmx's headers: views say what to show, not how it travels."""

from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException


def is_htmx() -> bool:
    """Whether htmx asks for a part of a page. When it restores a page from the history it wants the whole one."""
    asked = request.headers.get("HX-Request") == "true"
    return asked and request.headers.get("HX-History-Restore-Request") != "true"


def page(template: str, status: int = 200, /, **context: Any) -> Response:
    """A whole page."""
    return make_response(render_template(template, **context), status)


def fragment_or_page(fragment: str, page: str, status: int = 200, /, **context: Any) -> Response:
    """The fragment alone for htmx, the whole page for everybody else; one address, two shapes."""
    answer = make_response(render_template(fragment if is_htmx() else page, **context), status)
    return two_shapes(answer)


def fragments(*parts: tuple[str, dict[str, Any]], status: int = 200) -> Response:
    """Several fragments in one answer: the first takes the place that was asked for, the others find their own.

    Each but the first is rendered with `oob` true and puts hx-swap-oob="true" on its root element. They travel in
    <template>s: parsed behind a table row, as rows or with forms in them, they would be torn apart.
    """
    shown = [
        render_template(template, **{**context, "oob": number > 0}) for number, (template, context) in enumerate(parts)
    ]
    others = [f"<template>{part}</template>" for part in shown[1:]]
    return two_shapes(make_response("\n".join(shown[:1] + others), status))


def go(url: str) -> Response:
    """To another page, fetched with GET."""
    if not is_htmx():
        return make_response(redirect(url, 303))
    return leave(url, 200)


def leave(url: str, status: int) -> Response:
    """For htmx: the whole page goes to `url`, whatever part of it asked."""
    answer = Response(status=status)
    answer.headers["HX-Redirect"] = url
    return two_shapes(answer)


def announce(answer: Response) -> Response:
    """For htmx: show this above the page, in the place for messages, and leave what was asked for as it is."""
    if is_htmx():
        answer.headers["HX-Retarget"] = "#flashes"
        answer.headers["HX-Reswap"] = "innerHTML" if request.method == "GET" else "innerHTML show:top"
    return two_shapes(answer)


def trigger(answer: Response, event: str) -> Response:
    """Tell the page's other parts that something happened (hx-trigger="event from:body")."""
    answer.headers["HX-Trigger"] = event
    return answer


def two_shapes(answer: Response) -> Response:
    """Caches keep the answers for htmx and for others apart."""
    answer.vary.add("HX-Request")
    return answer


def confidential(response: Response) -> Response:
    """The response to an address that holds a secret token: no cache stores it, and no Referer header repeats it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def current_page() -> str | None:
    """Path and query of the page that asks: what htmx says it is, or the Referer of this same host. Not checked."""
    if is_htmx():
        where = request.headers.get("HX-Current-URL")
    elif request.method in ("GET", "HEAD"):
        return request.full_path if request.query_string else request.path
    else:
        where = request.referrer
    try:
        parts = urlsplit(where or "")
    except ValueError:
        return None
    if parts.netloc != request.host:
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "")


def local_path(value: str | None) -> str | None:
    """`value` when it is a path of a page here, else None. What isn't would lead people away to somebody else's site.

    Exactly one leading slash, no backslash, no blank or control character, and a path that a GET route answers:
    Werkzeug 3.1 turns "////evil", "/<TAB>/evil" and " //evil" into a Location that browsers follow elsewhere.
    """
    if not value or len(value) > 2000 or not value.startswith("/") or value.startswith("//"):
        return None
    if any(character <= " " or character in "\\\x7f" for character in value):
        return None
    router = current_app.url_map.bind("")
    try:
        parts = urlsplit(value)
        endpoint, _ = router.match(parts.path, method="GET")
    except (ValueError, HTTPException):  # a redirect of the router's own included: it is no page of ours
        return None
    return value if endpoint != "static" and not (parts.scheme or parts.netloc) else None
