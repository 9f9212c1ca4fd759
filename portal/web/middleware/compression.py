"""Compression of pages and documents with brotli or gzip, where the client asks for it.

An answer that holds a secret is never compressed: with reflected input beside it, its length would tell the secret
(BREACH). CSRF tokens are masked anew in each answer (portal/extensions.py), so they are none.
"""

import gzip
import re
from typing import Any, Final

import brotli  # type: ignore[import-untyped]
from flask import Flask, Response, current_app, request
from werkzeug.http import parse_accept_header

TYPES: Final = (
    "text/html",
    "text/css",
    "text/javascript",
    "text/plain",
    "application/json",
    "application/problem+json",
    "application/manifest+json",
    "image/svg+xml",
)
LEAST: Final = 1024
"""Bytes from which an answer is compressed."""
GZIP_LEVEL: Final = 6
BROTLI_QUALITY: Final = 5
"""A page is compressed at each request: about as fast as gzip, and smaller."""
SECRET: Final = ("api_accounts.", "api_keys.", "api_tokens.", "calendars.", "email_proofs.", "outbox.")
"""Endpoints whose answers hold passwords' links, codes, tokens or keys."""
PUBLIC: Final = ("api_docs.",)
"""Endpoints whose answers are the same for everybody. The examples of the API's document look like links."""
_LINKS: Final = "qist.secret_links"


def init_app(app: Flask) -> None:
    app.after_request(compress)


def coding_of(environ: dict[str, Any]) -> str | None:
    """The coding that the client asks for (RFC 9110, 12.5.3): "br" before "gzip" where it likes both as well, or None.

    Browsers ask for brotli over TLS only.
    """
    accepted = parse_accept_header(environ.get("HTTP_ACCEPT_ENCODING"))
    if "br" not in accepted.values():  # "*" means gzip, which every client reads
        return "gzip" if accepted["gzip"] > 0 else None
    codings = [(accepted[name], name) for name in ("br", "gzip") if accepted[name] > 0]
    return max(codings, key=lambda each: each[0])[1] if codings else None


def encode(body: bytes, coding: str, *, once: bool) -> bytes:
    """`body` in this coding; as small as it gets if it is compressed `once` and kept."""
    if coding == "br":
        quality = 11 if once else BROTLI_QUALITY
        return bytes(brotli.compress(body, mode=brotli.MODE_TEXT, quality=quality))
    return gzip.compress(body, 9 if once else GZIP_LEVEL, mtime=0)


def compress(response: Response) -> Response:
    """Compress a whole answer of LEAST bytes or more, unless it holds a secret. Streams stay as they are."""
    if response.mimetype not in TYPES or response.is_streamed or response.direct_passthrough:
        return response
    if "Content-Encoding" in response.headers:
        return response
    if response.headers.setdefault("Vary", "Accept-Encoding") != "Accept-Encoding":
        response.vary.add("Accept-Encoding")
    coding = coding_of(request.environ)
    if coding is None or _is_secret():
        return response
    body = response.get_data()
    is_public = (request.endpoint or "").startswith(PUBLIC)
    if len(body) >= LEAST and (is_public or not _secret_links().search(body)):
        response.set_data(encode(body, coding, once=False))
        response.headers["Content-Encoding"] = coding
    return response


def _is_secret() -> bool:
    """The endpoint answers with secrets, or its address is one."""
    rule = request.url_rule
    return rule is not None and (
        rule.endpoint.startswith(SECRET) or any(argument.endswith("token") for argument in rule.arguments)
    )


def _secret_links() -> re.Pattern[bytes]:
    """Addresses that hold a token, as the url map has them."""
    links: re.Pattern[bytes] | None = current_app.extensions.get(_LINKS)
    if links is None:
        rules = [rule for rule in current_app.url_map.iter_rules() if any(a.endswith("token") for a in rule.arguments)]
        starts = sorted({re.escape(rule.rule.partition("<")[0]) for rule in rules})
        links = re.compile(f"(?:{'|'.join(starts)})[A-Za-z0-9_.-]{{20,}}".encode())
        current_app.extensions[_LINKS] = links
    return links
