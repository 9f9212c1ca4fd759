"""Idempotency-Key: a repeated request is carried out once and gets the same response."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from flask import Response, current_app, g, request

from portal.api import callers, problems
from portal.errors import Fault, Invalid
from portal.services import idempotency
from portal.services.idempotency import Replay, RequestKey
from portal.services.unit_of_work import unsure_from_here

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def request_key(body: msgspec.Struct, render: Callable[[Any], tuple[int, bytes]]) -> RequestKey | None:
    """The idempotency key of this request, or None. `render` makes the reply that is stored with the effect.

    The key is scoped to the caller with their hat, the method and the address without its trailing slash.
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

    def rendered(result: Any) -> tuple[int, bytes]:
        reply: tuple[int, bytes] = render(result)
        g.stored_reply = reply
        return reply

    return RequestKey(caller.id, scope, key, idempotency.fingerprint(text), rendered)


def finish(
    key: RequestKey | None,
    replay: Replay | None,
    find: Callable[[], Any],
    render: Callable[[Any], tuple[int, bytes]],
    location: str | None = None,
) -> Response:
    """The response to a service that was carried out now, or by an earlier request with the same key.

    `find` reads the result for `render` if no reply was stored with the effect: the request has no key, the outcome is
    not known yet, or it became known after the response. `location` is the result's address, for 201 and 202.
    """
    if replay is not None and replay.status is not None and replay.body is not None:
        return mark_replayed(respond(replay.status, replay.body, location))
    stored = g.pop("stored_reply", None)
    with unsure_from_here():
        status, body = stored or render(find())
        if stored is None and key is not None and status != 202:
            status, body = idempotency.keep(key, status, body)
    response = respond(status, body, location)
    return response if replay is None else mark_replayed(response)


def mark_replayed(response: Response) -> Response:
    """Add the header of a response to a repeated request."""
    response.headers["Idempotent-Replayed"] = "true"
    return response


def respond(status: int, body: bytes, location: str | None = None) -> Response:
    """The response with a status and a body from `render`."""
    media_type = "application/json" if status < 400 else problems.MEDIA_TYPE
    response = current_app.response_class(body, status, content_type=media_type)
    if location is not None and status in (201, 202):
        response.headers["Location"] = location
    return response
