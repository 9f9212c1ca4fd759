"""Idempotency-Key: a repeated request is carried out once and gets the same response."""

import re
from typing import Final

import msgspec
from flask import Response, current_app, request

from portal.api import callers, problems
from portal.api.endpoints import tree
from portal.errors import Fault, Invalid, QistError
from portal.services import idempotency
from portal.services.idempotency import RequestKey
from portal.services.results import Result

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def request_key(body: msgspec.Struct) -> RequestKey | None:
    """The idempotency key of this request, or None. It counts for the caller, the method and the address.

    It counts for the caller with their hat. A trailing slash of the address makes no difference.
    Refuses: bad_idempotency_key (Invalid).
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid(Fault(f"{HEADER}:", "bad_idempotency_key"))
    caller = callers.caller()
    hat = "" if caller.actor.merchant_id is None else f" as {caller.actor.merchant_id}"
    scope = f"{request.method} {request.path.rstrip('/')}{hat}"
    text = msgspec.json.encode(body, order="sorted")
    return RequestKey(caller.id, scope, key, idempotency.fingerprint(text))


def answer(result: Result, status: int, body: msgspec.Struct, location: str | None = None) -> Response:
    """The response to a service's result, carried out now or by an earlier request with the same key.

    `location` is the address of what was made, for 201 and 202.
    """
    text = tree.model_adapter.dump_json(body)
    response = current_app.response_class(text, status, content_type="application/json")
    if location is not None:
        response.headers["Location"] = location
    return _mark(response, result)


def refusal(result: Result, error: QistError) -> Response:
    """As `answer`, for a result that the API answers with a problem document, such as a declined payment."""
    return _mark(problems.refused(error), result)


def _mark(response: Response, result: Result) -> Response:
    if result.replayed:
        response.headers[REPLAYED] = "true"
    return response
