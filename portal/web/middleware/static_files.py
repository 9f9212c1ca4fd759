"""Static files under addresses that change with their content, so that browsers cache them without revalidation.

The path contains one hash of the whole folder (/static/<hash>/css/qist.css). Relative addresses in a style sheet
therefore contain the hash too, and a page never mixes files of two versions. css/qist.css is served from memory with
its imports bundled; every other file is served from disk.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, Final

from flask import Flask
from werkzeug.wrappers import Response
from whitenoise import WhiteNoise

from portal.web.middleware import stylesheet

SHEET: Final = "css/qist.css"


def init_app(app: Flask) -> None:
    """In production the files are read at the start. Elsewhere an edited file has a new address at once."""
    folder, inner = Path(app.static_folder or "static"), app.wsgi_app
    fixed_version = fingerprint(_files(folder)) if app.config["QIST"].production else None

    def version() -> str:
        return fixed_version or fingerprint(_files(folder))

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
        current = version()
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
            values["filename"] = f"{version()}/{values['filename']}"


def _cached_response(css: str) -> Response:
    """A response with the headers that WhiteNoise sets on the other files."""
    response = Response(css, mimetype="text/css")
    response.cache_control.max_age = WhiteNoise.FOREVER
    response.cache_control.public = True
    response.cache_control.immutable = True
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _files(folder: Path) -> tuple[tuple[Path, str, int, int], ...]:
    """Each file with its name, modification time and size. `fingerprint` is cached by these."""
    stats = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((path, path.relative_to(folder).as_posix(), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


@functools.lru_cache(maxsize=1)
def fingerprint(files: tuple[tuple[Path, str, int, int], ...]) -> str:
    """A short hash of every file's name and content."""
    digest = hashlib.sha256()
    for path, name, *_ in files:
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
