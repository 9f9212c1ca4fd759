"""Static files under addresses that change with their content, so that browsers cache them without revalidation.

The path contains one hash of the whole folder (/static/<hash>/css/qist.css). Relative addresses in a style sheet
therefore contain the hash too, and a page never mixes files of two versions. css/qist.css is served from memory with
its imports bundled; every other file is served from disk.
"""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any, Final

from flask import Flask, has_request_context, request
from werkzeug.wrappers import Response
from whitenoise import WhiteNoise

from portal.web.middleware import stylesheet

SHEET: Final = "css/qist.css"
_VERSION: Final = "qist.static_version"
"""The key in a request's environ of the folder's hash, so that a page with many links looks at the files once."""


def init_app(app: Flask) -> None:
    """In production the files are read at the start. Elsewhere an edited file has a new address at once."""
    folder, inner = Path(app.static_folder or "static"), app.wsgi_app
    fixed_version = fingerprint(folder, _files(folder)) if app.config["QIST"].production else None

    def version() -> str:
        return fixed_version or fingerprint(folder, _files(folder))

    @functools.lru_cache(maxsize=1)
    def files_of(version: str) -> WhiteNoise:
        files = WhiteNoise(
            inner,
            autorefresh=fixed_version is None,
            allow_all_origins=False,
            max_age=WhiteNoise.FOREVER,
            immutable_file_test=lambda path, url: True,
            add_headers_function=lambda headers, path, url: headers.__setitem__("X-Content-Type-Options", "nosniff"),
        )
        files.add_files(str(folder), prefix=f"static/{version}")
        return files

    @functools.lru_cache(maxsize=1)
    def bundled(version: str) -> Response | None:
        """The style sheet's response, or None for a folder without one."""
        sheet = folder / SHEET
        return _cached_response(stylesheet.bundle(sheet)) if sheet.exists() else None

    def serve(environ: Any, start_response: Any) -> Any:
        current = environ[_VERSION] = version()
        if environ["PATH_INFO"] == f"/static/{current}/{SHEET}" and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            response = bundled(current)
            if response is not None:
                return response(environ, start_response)
        return files_of(current)(environ, start_response)

    files_of(version())
    bundled(version())
    app.wsgi_app = serve  # type: ignore[method-assign]

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            current = request.environ.get(_VERSION) if has_request_context() else None
            values["filename"] = f"{current or version()}/{values['filename']}"


def _cached_response(css: str) -> Response:
    """A response with the headers that WhiteNoise sets on the other files."""
    response = Response(css, mimetype="text/css")
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
