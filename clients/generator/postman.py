"""The Postman collection, format 2.1: a folder for each tag, with variables for the address and the token."""

import json
from typing import Any

from clients.generator.operations import IDEMPOTENCY, Json, Operation, operations, words

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
PARAMETER = {"type": "text"}
TYPED = ("password", "password2", "refresh", "code")
"""Fields that are empty in the collection, because their values are secrets."""


def render(openapi: Json) -> str:
    """The text of the collection."""
    schemas = openapi["components"]["schemas"]
    about = {tag["name"]: tag.get("description", "") for tag in openapi["tags"]}
    folders: dict[str, list[Json]] = {name: [] for name in about}
    for operation in operations(openapi):
        folders.setdefault(operation.tag, []).append(_item(operation, schemas))
    collection = {
        "info": {
            "name": openapi["info"]["title"],
            "description": openapi["info"]["description"],
            "version": openapi["info"]["version"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8000", "type": "string"},
            {"key": "token", "value": "", "type": "string"},
        ],
        "item": [
            {"name": name, "description": about.get(name, ""), "item": items}
            for name, items in folders.items()
            if items
        ],
    }
    return json.dumps(collection, indent=1, ensure_ascii=False) + "\n"


def _item(operation: Operation, schemas: Json) -> dict[str, Any]:
    path = operation.path
    for parameter in operation.path_parameters:
        path = path.replace(f"{{{parameter['name']}}}", f":{parameter['name']}")
    url: dict[str, Any] = {"raw": f"{{{{base_url}}}}{path}", "host": ["{{base_url}}"], "path": path[1:].split("/")}
    if operation.path_parameters:
        url["variable"] = [{"key": one["name"], "value": ""} for one in operation.path_parameters]
    if operation.query:
        url["query"] = [
            {"key": one["name"], "value": "", "description": words(one.get("description", "")), "disabled": True}
            for one in operation.query
        ]
    request: dict[str, Any] = {
        "method": operation.method,
        "header": [{"key": "Accept", "value": "application/json", **PARAMETER}],
        "url": url,
        "description": operation.description,
    }
    if operation.is_repeatable:
        request["header"].append({"key": IDEMPOTENCY, "value": "{{$guid}}", **PARAMETER})
    if not operation.is_signed_in:
        request["auth"] = {"type": "noauth"}
    if operation.body:
        request["header"].append({"key": "Content-Type", "value": "application/json", **PARAMETER})
        example = (schemas[operation.body].get("examples") or [{}])[0]
        example = {name: "" if name in TYPED else value for name, value in example.items()}
        raw = json.dumps(example, indent=2, ensure_ascii=False)
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return {"name": operation.summary, "request": request, "response": []}
