"""Idempotency-Key: a request that is sent again is carried out once, and answered the same."""

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


def asked(body: msgspec.Struct, render: Callable[[Any], tuple[int, bytes]]) -> RequestKey | None:
    """The key this request came with, if any. `render` makes the answer that is stored with the effect.

    It counts for this caller, method and address, with or without the slash at its end. Raises Invalid on a bad key.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid(Fault(f"{HEADER}:", "bad_idempotency_key", "Use 1 to 255 visible ASCII characters, no blanks."))
    scope = f"{request.method} {request.path.rstrip('/')}"
    text = msgspec.json.encode(body, order="sorted")

    def rendered(result: Any) -> tuple[int, bytes]:
        answer: tuple[int, bytes] = render(result)
        g.kept = answer
        return answer

    return RequestKey(callers.caller().id, scope, key, idempotency.fingerprint(text), rendered)


def finish(
    asked: RequestKey | None,
    replay: Replay | None,
    find: Callable[[], Any],
    render: Callable[[Any], tuple[int, bytes]],
    where: str | None = None,
) -> Response:
    """The answer to a verb that was carried out now, or had been before.

    `find` reads what it made, to be rendered when no answer was stored with the effect: none was asked for, its outcome
    is not known yet, or it became known after the caller had gone. `where` is its address, for 201 and 202.
    """
    if replay is not None and replay.status is not None and replay.body is not None:
        return mark(respond(replay.status, replay.body, where))
    stored = g.pop("kept", None)
    with unsure_from_here():
        status, body = stored or render(find())
        if stored is None and asked is not None and status != 202:
            status, body = idempotency.keep(asked, status, body)
    answer = respond(status, body, where)
    return answer if replay is None else mark(answer)


def mark(answer: Response) -> Response:
    """This answer was given before."""
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def respond(status: int, body: bytes, where: str | None = None) -> Response:
    """What `render` made, as it is sent."""
    media_type = "application/json" if status < 400 else problems.MEDIA_TYPE
    answer = current_app.response_class(body, status, content_type=media_type)
    if where is not None and status in (201, 202):
        answer.headers["Location"] = where
    return answer
