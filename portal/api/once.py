"""Idempotency-Key: a request that is sent again is carried out once, and answered the same."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from flask import Response, current_app, request

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
    return Once(callers.caller().id, scope, key, idempotency.fingerprint(text), render)


def again(replay: Replay) -> Response | None:
    """The stored answer, marked as such; None when none was stored and the caller has to render it."""
    if replay.status is None or replay.body is None:
        return None
    media_type = "application/json" if replay.status < 400 else problems.MEDIA_TYPE
    return mark(current_app.response_class(replay.body, replay.status, content_type=media_type))


def mark(answer: Response) -> Response:
    """This answer was given before."""
    answer.headers["Idempotent-Replayed"] = "true"
    return answer
