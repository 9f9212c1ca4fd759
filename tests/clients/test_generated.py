"""The generated files are those of the present OpenAPI document, and the Postman collection has every operation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from clients.generator import files
from clients.generator.operations import operations

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def openapi(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return document


def test_the_files_are_in_step_with_the_document(openapi: dict[str, Any]) -> None:
    """If this fails, run `python -m clients`."""
    rendered = files.render(openapi)
    assert len(rendered) == 3
    stale = [str(path.relative_to(ROOT)) for path, text in rendered.items() if path.read_text() != text]
    assert stale == []


def test_every_operation_is_in_each_client(openapi: dict[str, Any]) -> None:
    names = {operation.name for operation in operations(openapi)}
    assert len(names) == sum(len(methods) for methods in openapi["paths"].values())
    python, typescript, _ = (path.read_text() for path in files.render(openapi))
    assert set(re.findall(r"^    def (\w+)\($", python, re.MULTILINE)) == names
    methods = re.findall(r"^  (\w+)\($", typescript, re.MULTILINE)
    assert {name.lower() for name in methods} == {name.replace("_", "") for name in names}


def items(collection: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for folder in collection["item"] for item in folder["item"]]


def test_the_postman_collection_has_every_operation_once_and_no_secret(openapi: dict[str, Any]) -> None:
    text = (ROOT / "clients/postman/qist.postman_collection.json").read_text()
    collection = json.loads(text)
    assert collection["info"]["schema"].endswith("/collection/v2.1.0/collection.json")
    assert {variable["key"] for variable in collection["variable"]} == {"base_url", "token"}
    assert {variable["value"] for variable in collection["variable"]} == {"http://127.0.0.1:8000", ""}
    requests = [item["request"] for item in items(collection)]
    made = sorted((request["method"], request["url"]["raw"]) for request in requests)
    assert made == sorted(
        (operation.method, "{{base_url}}" + re.sub(r"\{(\w+)\}", r":\1", operation.path))
        for operation in operations(openapi)
    )
    for request in requests:
        path = request["url"]["path"]
        assert request["url"]["raw"] == "{{base_url}}/" + "/".join(path)
        variables = [variable["key"] for variable in request["url"].get("variable", [])]
        assert variables == [part[1:] for part in path if part.startswith(":")]
        if "body" in request:
            assert isinstance(json.loads(request["body"]["raw"]), dict)
    unsigned = {operation.path for operation in operations(openapi) if not operation.is_signed_in}
    assert {f"/{'/'.join(one['url']['path'])}" for one in requests if "auth" in one} == unsigned
    assert not re.search(r"qist_[a-z2-7]{10}\.|whsec_\w|eyJ\w", text)
