"""Static files under addresses that change with their content, so that browsers cache them without revalidation.

The path contains one hash of the whole folder (/static/<hash>/css/qist.css). Relative addresses in a style sheet
therefore contain the hash too, and a page never mixes files of two versions. css/qist.css is served from memory with
its imports bundled, and so is each file that was asked for in brotli or gzip; every other file is served from disk.
"""

import functools
import hashlib
import math
import os
import time
from pathlib import Path
from typing import Any, Final

from flask import Flask, has_request_context, request
from werkzeug.wrappers import Response
from whitenoise import WhiteNoise

from portal.web.middleware import compression, stylesheet

SHEET: Final = "css/qist.css"
COMPRESSED: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""The kinds of files that shrink, with their media types. Fonts are compressed already."""
_VERSION: Final = "qist.static_version"
"""The key in a request's environ of the folder's hash, so that a page with many links looks at the files once."""


LOOK_AGAIN: Final = 0.5
"""Seconds after which the folder is looked at again. To look at it takes a tenth of a page."""


def init_app(app: Flask) -> None:
    """In production the files are read at the start. Elsewhere an edited file has a new address after LOOK_AGAIN."""
    folder, inner = Path(app.static_folder or "static"), app.wsgi_app
    fixed_version = fingerprint(folder, _files(folder)) if app.config["QIST"].production else None
    latest = [fixed_version or ""]
    looked_at = [-math.inf]

    def version() -> str:
        now = time.monotonic()
        if fixed_version is None and now - looked_at[0] >= LOOK_AGAIN:
            latest[0], looked_at[0] = fingerprint(folder, _files(folder)), now
        return latest[0]

    @functools.lru_cache(maxsize=1)
    def files_of(version: str) -> WhiteNoise:
        files = WhiteNoise(
            inner,
            autorefresh=fixed_version is None,
            allow_all_origins=False,
            max_age=WhiteNoise.FOREVER,
            immutable_file_test=lambda path, url: True,
            add_headers_function=_vary,
            mimetypes=COMPRESSED,
        )
        files.add_files(str(folder), prefix=f"static/{version}")
        return files

    @functools.lru_cache(maxsize=1)
    def bundled(version: str) -> Response | None:
        """The style sheet's response, or None for a folder without one."""
        sheet = folder / SHEET
        return _cached_response(stylesheet.bundle(sheet)) if sheet.exists() else None

    @functools.lru_cache(maxsize=128)
    def compressed(version: str, name: str, coding: str) -> Response | None:
        """The response in this coding, or None for a file of another kind, of few bytes, or that is not there."""
        path = folder / name
        if path.suffix not in COMPRESSED or str(path) not in {each for each, *_ in _files(folder)}:
            return None
        sheet = bundled(version) if name == SHEET else None
        body = sheet.get_data() if sheet is not None else path.read_bytes()
        if len(body) < compression.LEAST:
            return None
        response = _cached_response(compression.encode(body, coding, once=True), COMPRESSED[path.suffix])
        response.headers["Content-Encoding"] = coding
        return response

    def found(environ: Any, current: str) -> Response | None:
        """The response from memory: the bundled style sheet, and compressed files."""
        prefix = f"/static/{current}/"
        if not environ["PATH_INFO"].startswith(prefix) or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        name = environ["PATH_INFO"].removeprefix(prefix)
        coding = compression.coding_of(environ)
        encoded = compressed(current, name, coding) if coding is not None else None
        return encoded or (bundled(current) if name == SHEET else None)

    def serve(environ: Any, start_response: Any) -> Any:
        if not environ["PATH_INFO"].startswith("/static/"):
            return inner(environ, start_response)
        current = version()
        if (response := found(environ, current)) is not None:
            return response(environ, start_response)
        return files_of(current)(environ, start_response)

    files_of(version())
    bundled(version())
    app.wsgi_app = serve  # type: ignore[method-assign]

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            kept = request.environ if has_request_context() else {}
            if _VERSION not in kept:
                kept[_VERSION] = version()
            values["filename"] = f"{kept[_VERSION]}/{values['filename']}"


def _vary(headers: Any, path: str, url: str) -> None:
    """The headers of a file that WhiteNoise serves."""
    headers["X-Content-Type-Options"] = "nosniff"
    if Path(path).suffix in COMPRESSED:
        headers["Vary"] = "Accept-Encoding"


def _cached_response(body: str | bytes, mimetype: str = "text/css") -> Response:
    """A response with the headers that WhiteNoise sets on the other files."""
    response = Response(body, mimetype=mimetype)
    response.vary.add("Accept-Encoding")
    response.cache_control.max_age = WhiteNoise.FOREVER
    response.cache_control.public = True
    response.cache_control.immutable = True
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _files(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The path, modification time and size of each file, in order. `fingerprint` is cached by these."""
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    stats = ((path, os.stat(path)) for path in paths)
    return tuple(sorted((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats))


@functools.lru_cache(maxsize=1)
def fingerprint(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """A short hash of every file's name and content."""
    digest = hashlib.sha256()
    for path, *_ in files:
        digest.update(f"{os.path.relpath(path, folder)}\0".encode())
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()[:12]
