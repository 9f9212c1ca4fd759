"""The generated files, and the OpenAPI document that they are made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.generator import postman, python, typescript
from portal.api.openapi import document
from portal.app import create_app
from portal.config import load

FOLDER = Path(__file__).parents[1]
NOWHERE = {
    "SECRET_KEY": "only-for-the-document-0123456789abcdefghij",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nowhere",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "PAYMENT_GATEWAY": "simulated",
}
"""Settings of an application that describes its API and connects to nothing."""


def describe() -> dict[str, Any]:
    """The OpenAPI document."""
    app = create_app(load(NOWHERE))
    with app.app_context():
        return document.build()


def render(openapi: Mapping[str, Any]) -> dict[Path, str]:
    """The text of each generated file."""
    return {
        FOLDER / "python" / "qist_client" / "api.py": python.render(openapi),
        FOLDER / "typescript" / "src" / "api.ts": typescript.render(openapi),
        FOLDER / "postman" / "qist.postman_collection.json": postman.render(openapi),
    }


def write() -> list[str]:
    """Write the files. Returns their paths."""
    files = render(describe())
    for path, text in files.items():
        path.write_text(text)
    return [str(path.relative_to(FOLDER.parent)) for path in files]
