"""Static files under an address that changes with their content, so that browsers keep them for ever.

One hash of the whole folder stands in the path (/static/<hash>/css/qist.css): what a style sheet asks for relative to
itself carries the hash too, and a page never mixes files of two versions. css/qist.css is served with its imports
bundled into it, from memory; every other file is served from the disk.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.wrappers import Response
from whitenoise import WhiteNoise

from portal.web.middleware import stylesheet

SHEET = "css/qist.css"


def init_app(app: Flask) -> None:
    """In production the files are those of the start; on a laptop an edited one has its new address at once."""
    folder, inner = Path(app.static_folder or "static"), app.wsgi_app
    settled = fingerprint(_files(folder)) if app.config["QIST"].production else None

    def version() -> str:
        return settled or fingerprint(_files(folder))

    @functools.lru_cache(maxsize=1)
    def served(version: str) -> WhiteNoise:
        made = WhiteNoise(
            inner,
            autorefresh=settled is None,
            allow_all_origins=False,
            max_age=WhiteNoise.FOREVER,
            immutable_file_test=lambda path, url: True,
            add_headers_function=lambda headers, path, url: headers.__setitem__("X-Content-Type-Options", "nosniff"),
        )
        made.add_files(str(folder), prefix=f"static/{version}")
        return made

    @functools.lru_cache(maxsize=1)
    def bundled(version: str) -> Response | None:
        """The style sheet's response, or None for a folder without one."""
        sheet = folder / SHEET
        return _forever(stylesheet.bundle(sheet)) if sheet.exists() else None

    def in_front(environ: Any, start_response: Any) -> Any:
        current = version()
        if environ["PATH_INFO"] == f"/static/{current}/{SHEET}" and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            response = bundled(current)
            if response is not None:
                return response(environ, start_response)
        return served(current)(environ, start_response)

    served(version())
    bundled(version())
    app.wsgi_app = in_front  # type: ignore[method-assign]

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["filename"] = f"{version()}/{values['filename']}"


def _forever(css: str) -> Response:
    """A response with the headers that WhiteNoise gives the other files."""
    response = Response(css, mimetype="text/css")
    response.cache_control.max_age = WhiteNoise.FOREVER
    response.cache_control.public = True
    response.cache_control.immutable = True
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _files(folder: Path) -> tuple[tuple[Path, str, int, int], ...]:
    """Each with its name, and when it was written at what size: they are read again when one of these has changed."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((path, path.relative_to(folder).as_posix(), stat.st_mtime_ns, stat.st_size) for path, stat in found)


@functools.lru_cache(maxsize=1)
def fingerprint(files: tuple[tuple[Path, str, int, int], ...]) -> str:
    """A short hash of every file's name and content."""
    found = hashlib.sha256()
    for path, name, *_ in files:
        found.update(f"{name}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
