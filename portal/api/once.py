"""Idempotency-Key: a request that is sent again is carried out once, and answered the same."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from flask import Response, current_app, g, request

from portal.api import callers, problems
from portal.errors import Fault, Invalid
from portal.services import idempotency
from portal.services.idempotency import Once, Replay

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def asked(body: msgspec.Struct, render: Callable[[Any], tuple[int, bytes]]) -> Once | None:
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

    return Once(callers.caller().id, scope, key, idempotency.fingerprint(text), rendered)


def kept() -> Response | None:
    """The answer that this request's effect was stored with, to the last byte; None when it came without a key."""
    found = g.pop("kept", None)
    return None if found is None else respond(*found)


def again(replay: Replay) -> Response | None:
    """The stored answer, marked as such; None when none was stored and the caller has to render it."""
    if replay.status is None or replay.body is None:
        return None
    return mark(respond(replay.status, replay.body))


def mark(answer: Response) -> Response:
    """This answer was given before."""
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def respond(status: int, body: bytes) -> Response:
    """What `render` made, as it is sent."""
    media_type = "application/json" if status < 400 else problems.MEDIA_TYPE
    return current_app.response_class(body, status, content_type=media_type)
