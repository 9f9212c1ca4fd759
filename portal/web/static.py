"""Static files under an address that changes with their content, so that browsers keep them for ever.

One hash of the whole folder stands in the path (/static/<hash>/css/base.css): what a style sheet asks for relative to
itself carries the hash too, and a page never mixes files of two versions.
"""

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask
from whitenoise import WhiteNoise


def init_app(app: Flask) -> None:
    folder = Path(app.static_folder or "static")
    version = fingerprint(folder)
    served = WhiteNoise(
        app.wsgi_app,
        allow_all_origins=False,
        max_age=WhiteNoise.FOREVER,
        immutable_file_test=lambda path, url: True,
        add_headers_function=lambda headers, path, url: headers.__setitem__("X-Content-Type-Options", "nosniff"),
    )
    served.add_files(str(folder), prefix=f"static/{version}")
    app.wsgi_app = served  # type: ignore[method-assign]

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["filename"] = f"{version}/{values['filename']}"


def fingerprint(folder: Path) -> str:
    """A short hash of every file's name and content."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
