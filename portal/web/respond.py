"""Responses to browsers. The only module that reads and sets htmx's headers."""

from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, make_response, redirect, render_template
from htmx_flask import request
from werkzeug.exceptions import HTTPException

MAX_PATH_LENGTH = 2000


def is_htmx() -> bool:
    """Whether htmx requests a fragment. To restore a page from its history, htmx requests the whole page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def page(template: str, status: int = 200, /, **context: Any) -> Response:
    """A whole page."""
    return make_response(render_template(template, **context), status)


def fragment_or_page(fragment: str, page: str, status: int = 200, /, **context: Any) -> Response:
    """The fragment for htmx, the whole page for other clients."""
    response = make_response(render_template(fragment if is_htmx() else page, **context), status)
    return vary_on_htmx(response)


def fragments(*parts: tuple[str, dict[str, Any]], status: int = 200) -> Response:
    """Several fragments in one response: the first replaces the request's target, the others their own elements.

    Each but the first is rendered with `oob` true and sets hx-swap-oob="true" on its root element. They are wrapped in
    <template>, because an HTML parser drops the tags of table rows and of nested forms outside their context.
    """
    rendered = [
        render_template(template, **{**context, "oob": number > 0}) for number, (template, context) in enumerate(parts)
    ]
    others = [f"<template>{part}</template>" for part in rendered[1:]]
    return vary_on_htmx(make_response("\n".join(rendered[:1] + others), status))


def go(url: str) -> Response:
    """Redirect to another page, fetched with GET."""
    if not is_htmx():
        return make_response(redirect(url, 303))
    return redirect_whole_page(url, 200)


def redirect_whole_page(url: str, status: int) -> Response:
    """For htmx: leave the current page for `url`."""
    response = Response(status=status)
    response.headers["HX-Redirect"] = url
    return vary_on_htmx(response)


def as_message(response: Response) -> Response:
    """For htmx: show the response in the page's region for messages, and leave the request's target unchanged."""
    if is_htmx():
        response.headers["HX-Retarget"] = "#flashes"
        response.headers["HX-Reswap"] = "innerHTML" if request.method == "GET" else "innerHTML show:top"
    return vary_on_htmx(response)


def vary_on_htmx(response: Response) -> Response:
    """Caches store responses to htmx and to other clients separately (RFC 9110, 12.5.5)."""
    response.vary.add("HX-Request")
    return response


def confidential(response: Response) -> Response:
    """The response to an address that holds a secret token: no cache stores it, and no Referer header repeats it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def current_page() -> str | None:
    """Path and query of the browser's page, by htmx's header or by a Referer of this host. Not validated."""
    if is_htmx():
        url: str | None = request.htmx.current_url
    elif request.method in ("GET", "HEAD"):
        path: str = request.full_path if request.query_string else request.path
        return path
    else:
        url = request.referrer
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    if parts.netloc != request.host:
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "")


def local_path(value: str | None) -> str | None:
    """`value` when it is the path of a page of this application, else None. Prevents open redirects.

    Such a path has exactly one leading slash, no backslash, blank or control character, and a GET route. Werkzeug 3.1
    turns "////evil", "/<TAB>/evil" and " //evil" into a Location that browsers follow to another host.
    """
    if not value or len(value) > MAX_PATH_LENGTH or not value.startswith("/") or value.startswith("//"):
        return None
    if any(character <= " " or character in "\\\x7f" for character in value):
        return None
    router = current_app.url_map.bind("")
    try:
        parts = urlsplit(value)
        endpoint, _ = router.match(parts.path, method="GET")
    except (ValueError, HTTPException):  # HTTPException includes the router's own redirects
        return None
    return value if endpoint != "static" and not (parts.scheme or parts.netloc) else None
