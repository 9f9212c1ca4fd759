"""The payment gateway's callbacks. A signature authenticates them, without cookie or account."""

from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from portal.errors import Busy, QistError
from portal.services.payments import callbacks
from portal.web import rate_limits
from portal.web_extensions import csrf

bp = Blueprint("callbacks", __name__)

MAX_BYTES: Final = 8 * 1024


@bp.post("/gateway/callbacks")
@csrf.exempt  # type: ignore[untyped-decorator]
@rate_limits.calling_back
def create() -> ResponseReturnValue:
    """Apply a callback. 204: applied or known already. 400, 401, 413: refused. 409, 503: the gateway sends it again."""
    request.max_content_length = MAX_BYTES
    try:
        callbacks.receive(request.get_data(cache=False), dict(request.headers))
    except QistError as refused:
        response = Response(f"{refused.code}\n", refused.status, mimetype="text/plain")
        if isinstance(refused, Busy):
            response.headers["Retry-After"] = str(refused.retry_after)
        return response
    return Response(status=204)
