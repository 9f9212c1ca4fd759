"""The operations of an OpenAPI document, as the generators need them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
IDEMPOTENCY = "Idempotency-Key"


@dataclass(frozen=True)
class Operation:
    """One endpoint. `result` is the schema of its success, or "A | B": None without a body, a list where `is_list`."""

    name: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    path_parameters: list[Json]
    query: list[Json]
    is_repeatable: bool
    body: str | None
    body_is_required: bool
    result: str | None
    is_list: bool
    is_signed_in: bool


def operations(openapi: Json) -> Iterator[Operation]:
    """Each operation, by path and method."""
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
            if headers - {IDEMPOTENCY}:
                raise ValueError(f"{path}: headers without a rule: {headers}")
            result, is_list = _result(operation)
            body = operation.get("requestBody")
            yield Operation(
                operation["operationId"],
                method.upper(),
                path,
                operation["tags"][0],
                operation["summary"],
                operation.get("description", ""),
                [parameter for parameter in parameters if parameter["in"] == "path"],
                [parameter for parameter in parameters if parameter["in"] == "query"],
                IDEMPOTENCY in headers,
                _name(body["content"]["application/json"]["schema"]) if body else None,
                bool(body and body.get("required")),
                result,
                is_list,
                bool(operation.get("security")),
            )


def _result(operation: Json) -> tuple[str | None, bool]:
    schemas = []
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            content = response.get("content", {}).get("application/json")
            schemas.append(content["schema"] if content else None)
    shapes = [schema for place, schema in enumerate(schemas) if schema not in schemas[:place]]
    if shapes == [None]:
        return None, False
    if None in shapes or (len(shapes) > 1 and any(shape.get("type") == "array" for shape in shapes)):
        raise ValueError(f"{operation['operationId']}: successes that have no type in common")
    is_list = shapes[0].get("type") == "array"
    return " | ".join(_name(shape["items"] if is_list else shape) for shape in shapes), is_list


def _name(schema: Json) -> str:
    reference: str = schema["$ref"]
    return reference.rpartition("/")[2]


def words(text: str) -> str:
    """A description on one line."""
    return " ".join(text.split())
