"""Where the payment gateway calls us back. It holds no cookie and no account: its signature lets it in."""

from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from portal.errors import Busy, Refused
from portal.extensions import csrf
from portal.services.payments import callbacks
from portal.web import rate_limits

bp = Blueprint("callbacks", __name__)

SIGNATURE: Final = "Qist-Signature"
LARGEST: Final = 8 * 1024


@bp.post("/gateway/callbacks")
@csrf.exempt  # type: ignore[untyped-decorator]
@rate_limits.calling_back
def create() -> ResponseReturnValue:
    """204 when it was taken or had nothing new to say; 401, 400 or 413 when it can't be; 409 and 503: send it again."""
    request.max_content_length = LARGEST
    try:
        callbacks.receive(request.get_data(cache=False), request.headers.get(SIGNATURE))
    except Refused as refused:
        answer = Response(f"{refused.code}\n", refused.status, mimetype="text/plain")
        if isinstance(refused, Busy):
            answer.headers["Retry-After"] = str(refused.retry_after)
        return answer
    return Response(status=204)
