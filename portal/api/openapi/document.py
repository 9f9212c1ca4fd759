"""The OpenAPI document: spectree's description of the views, with common errors, headers and examples."""

import json
from collections.abc import Sequence
from typing import Any, Final

from portal.api import parsing, problems
from portal.api.endpoints import Declared, declared, tree
from portal.api.openapi import enums, error_codes, examples
from portal.api.openapi.gateway_words import gateway_words
from portal.reports.payments import offered_methods
from portal.reports.payments.offered_methods import OfferedMethod

Json = dict[str, Any]

DESCRIPTION: Final = """\
Qist splits a purchase into installments that the customer pays over time.

**Sign in** with `POST /token/` and send the access token as `Authorization: Bearer ...`; a merchant's server sends an
API key in its place, made under Settings, API keys. **Money** is a decimal string with the currency's own digits.
**Days** are local dates where the merchant is; **instants** are UTC. **Lists** are plain arrays: the next page is in
the `Link` header. **Errors** are problem documents (RFC 9457) with a stable `code`, one of
`ErrorCode`. Send an **Idempotency-Key** with
every POST that changes something, and send it again, with the same key, when its answer was lost: it is carried out
once.

Every address answers with and without the slash at its end.
"""

WORDS: Final = {
    400: "The body is not JSON that can be read.",
    401: "No token, or one that is not valid, has expired, or was revoked.",
    402: "The bank declined. Nothing was charged.",
    403: "Not for this account, or not with this key.",
    404: "Not there, or not yours: the same answer.",
    409: "Not in this state.",
    413: "The body is too large.",
    414: "The address is longer than 4 KB.",
    415: "The body does not say that it is JSON.",
    422: "Something that was sent can't be used. Lists every fault.",
    429: "Too many requests: wait as long as Retry-After says.",
    431: "A header is longer than 16 KB.",
    500: "A fault of ours. It was written down under the answer's X-Request-Id.",
    503: "Too busy right now: send it again after Retry-After.",
}


_SERVER_CODES: Final = {status: code for code, (status, _) in error_codes.UNREADABLE.items()}
_PARAMETERS: Final = {
    "status": "The state.",
    "due_before": "A day, exclusive.",
    "due_after": "A day, exclusive.",
    "account": "The account.",
}
"""The descriptions of parameters whose schemas have none."""
_NULL: Final = {"type": "null"}
_WAYS: Final[Json] = {
    "if": {"required": ["installments"], "properties": {"installments": {"not": _NULL}}},
    "then": {"properties": dict.fromkeys(("num_installments", "start_date", "interval", "deposit"), _NULL)},
    "else": {
        "required": ["num_installments", "start_date"],
        "properties": {"num_installments": {"not": _NULL}, "start_date": {"not": _NULL}},
    },
}
"""The two ways to say a schedule: the installments one by one, or a count with a first date.

Generators of clients take a `oneOf` for a union of types, and leave out a schema that has one beside its properties.
"""


def build() -> Json:
    """The whole document. Requires an app context."""
    methods = offered_methods.list_methods()
    document: Json = json.loads(_with_gateway_words(json.dumps(tree.spec), methods))
    document["info"]["description"] = DESCRIPTION
    document["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
    document["servers"] = [{"url": "/"}]
    document["security"] = []
    components = document["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From POST /token/."},
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: qist_..., from Settings, API keys."},
    }
    components["headers"] = {
        "RequestId": {"schema": {"type": "string"}, "description": "Names this answer in our logs."},
        "RetryAfter": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."},
        "Link": {"schema": {"type": "string"}, "description": 'The next page: <...>; rel="next". None on the last.'},
        "TotalCount": {
            "schema": {"type": "string", "pattern": r"^[0-9]+\+?$"},
            "description": "With `include=total`: the number of rows in all pages, exact up to 10000, else `10000+`.",
        },
        "Location": {"schema": {"type": "string"}, "description": "Where to look at it."},
        "RateLimit": {
            "schema": {"type": "string", "examples": ['"writes";r=2999;t=60']},
            "description": "For each limit, how many requests are left (`r`), for how many seconds (`t`). "
            "draft-ietf-httpapi-ratelimit-headers-10.",
        },
        "RateLimitPolicy": {
            "schema": {"type": "string", "examples": ['"writes";q=3000;w=60']},
            "description": "For each limit, how many requests (`q`) in how many seconds (`w`).",
        },
        "Replayed": {"schema": {"const": "true"}, "description": "Set when this was carried out before."},
    }
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation, declared[operation["operationId"]])
    schemas = {name: schema for name, schema in components["schemas"].items() if not name.endswith(("List", "Query"))}
    components["schemas"] = schemas
    shapes = examples.shapes(methods)
    for name, schema in schemas.items():
        _tidy(schema)
        if name in shapes:
            schema["examples"] = [shapes[name]]
    enums.name_enums(document)
    schemas["ErrorCode"] = {
        "type": "string",
        "enum": list(error_codes.CODES),
        "description": "Every code of a problem and of its faults. New ones may be added.",
        "examples": ["already_paid"],
    }
    for name in ("Problem", "Fault"):
        schemas[name]["properties"]["code"] = {"$ref": "#/components/schemas/ErrorCode"}
    for name in ("NewPlan", "PlanTerms"):
        schemas[name].update(_WAYS)
    document["paths"] = dict(sorted(document["paths"].items()))
    components["schemas"] = dict(sorted(schemas.items()))
    return document


def encode(document: Json) -> bytes:
    """The document as compact UTF-8 JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _with_gateway_words(text: str, methods: Sequence[OfferedMethod]) -> str:
    """The JSON text of the document, with the gateway's words for their placeholders."""
    for placeholder, words in gateway_words(methods, simulated=offered_methods.are_simulated()).items():
        text = text.replace(placeholder, json.dumps(words)[1:-1])
    return text


def _complete(operation: Json, declaration: Declared) -> None:
    if declaration.aliases:
        operation["description"] += "\n\nAlso at " + ", ".join(f"`{alias}`" for alias in declaration.aliases) + "."
    operation["description"] = operation["description"].strip() or f"{operation['summary']}."
    for parameter in operation["parameters"]:
        _tidy_parameter(parameter)
    operation["parameters"] = [
        named for parameter in operation["parameters"] for named in _by_each_name(parameter, declaration)
    ]
    operation["security"] = [{"token": []}, {"key": []}] if declaration.signed_in else []
    if declaration.repeatable:
        operation["parameters"].append(_idempotency_key())
    if declaration.reads_body:
        _complete_body(operation)
    responses = operation["responses"]
    del responses["422"]  # spectree's default, which _errors replaces
    for status, response in responses.items():
        response["headers"] = _headers(int(status), declaration)
        for content in response.get("content", {}).values():
            content["schema"] = _list_or_ref(content["schema"])
    for status in _errors(operation, declaration):
        responses[str(status)] = _error(status, declaration)


def _complete_body(operation: Json) -> None:
    """An absent body counts as {}, so the body is required only if a field is."""
    body = operation["requestBody"]
    schema = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    body["required"] = bool(tree.models[schema].get("required"))


def _list_or_ref(schema: Json) -> Json:
    """Lists are inlined. Other schemas stay references."""
    name = schema["$ref"].rpartition("/")[2]
    if name.endswith("List"):
        return {"type": "array", "items": {"$ref": f"#/components/schemas/{name.removesuffix('List')}"}}
    return schema


def _headers(status: int, declaration: Declared) -> Json:
    names = {"X-Request-Id": "RequestId"}
    if status in (429, 503):
        names["Retry-After"] = "RetryAfter"
    if declaration.pages and status == 200:
        names["Link"] = "Link"
    if declaration.counts and status == 200:
        names["X-Total-Count"] = "TotalCount"
    if status in (201, 202):
        names["Location"] = "Location"
    if declaration.limited and status not in (401, 414, 431):
        names["RateLimit"] = "RateLimit"
        names["RateLimit-Policy"] = "RateLimitPolicy"
    if declaration.repeatable and status < 400:
        names["Idempotent-Replayed"] = "Replayed"
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}


def _errors(operation: Json, declaration: Declared) -> list[int]:
    """The error statuses of an endpoint."""
    statuses = set(declaration.codes) | {414, 422, 431, 500, 503}
    if declaration.signed_in:
        statuses |= {401}
    if declaration.needs or declaration.writes or _wants_proof(declaration):
        statuses |= {403}
    if any(parameter["in"] == "path" for parameter in operation["parameters"]):
        statuses |= {404}
    if declaration.takes_body:
        statuses |= {400, 413, 415}
    if declaration.repeatable:
        statuses |= {409}
    if declaration.limited:
        statuses |= {429}
    return sorted(statuses)


def _error(status: int, declaration: Declared) -> Json:
    default = problems.CODES.get(status) or _SERVER_CODES.get(status, "invalid")
    codes = list(declaration.codes.get(status, ()))
    if status == 403 and _wants_proof(declaration):
        codes += [*(["forbidden"] if declaration.needs or declaration.writes else []), "email_unproven"]
    if status == 422:
        codes = [*(codes or ["invalid"]), "unknown_parameter"]
    text = WORDS[status]
    if codes:
        text += " `code` is " + ", ".join(f"`{code}`" for code in codes) + (", or another." if status == 422 else ".")
    return {
        "description": text,
        "headers": _headers(status, declaration),
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    code: {"value": examples.problem(status, code, declaration.parameters)}
                    for code in codes or [default]
                },
            }
        },
    }


def _wants_proof(declaration: Declared) -> bool:
    """The endpoint refuses accounts whose email is not proven."""
    return declaration.signed_in and not declaration.unproven


def _idempotency_key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
        "description": "Kept for 24 hours. With the same body the first answer comes again; with another, 422.",
        "example": "order-1234-attempt-1",
    }


def _tidy(schema: Json) -> None:
    """Remove empty defaults, which client generators misread."""
    for field in schema.get("properties", {}).values():
        if field.get("default", "") in (None, "", {}, []):
            field.pop("default", None)


def _by_each_name(parameter: Json, declaration: Declared) -> list[Json]:
    """A query parameter under each of its names."""
    name = parameter["name"]
    if parameter["in"] != "query" or name not in parsing.STATE_NAMES:
        return [parameter]
    others = [other for other in parsing.STATE_NAMES if other != name and other in declaration.parameters]
    same = f"Another name of `{name}`. If both are sent, they must have the same value."
    return [parameter, *({**parameter, "name": other, "description": same} for other in others)]


def _tidy_parameter(parameter: Json) -> None:
    """Keep the first option of a parameter's schema. A query string has no null, and numbers are digits."""
    schema = parameter["schema"]
    for options in (schema.pop("anyOf", ()), schema.pop("oneOf", ())):
        schema.update(options[0] if options else {})
    parameter["description"] = parameter.get("description") or schema.get("description", "")
    parameter["description"] = parameter["description"] or _PARAMETERS.get(parameter["name"], "")
    schema.pop("description", None)
    if schema.get("default", "") is None:
        del schema["default"]
