"""The end of a merchant, and the objection to its deactivation."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal.api import idempotency, schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint
from portal.errors import Refused
from portal.extensions import db
from portal.reports.operations import wind_downs
from portal.services.operations import closings, merchant_deactivations

bp = Blueprint("api_closings", __name__)
ADDRESS = "/api/merchant/closing/"
TAG = Tag("Closing", "An owner closes the merchant, or objects to its deactivation. API keys can't.")


@endpoint(bp, "GET", ADDRESS, ok={200: schemas.Closing}, tag=TAG, needs="own")
def show() -> schemas.Closing:
    """The open rest of your merchant, until its end"""
    return _now()


@endpoint(
    bp,
    "PUT",
    ADDRESS,
    ok={200: schemas.Closing},
    tag=TAG,
    needs="own",
    writes=True,
    refuses={409: ("figures_changed", "merchant_deactivated")},
)
def start(json: schemas.ClosingChoice) -> schemas.Closing:
    """Close your merchant

    It makes no new plans. It ends by itself when nothing is left to do, and can be opened again before that. A
    repetition changes nothing.
    """
    try:
        closings.start(caller().actor, shown_plans=json.open_plans)
    except Refused as refused:
        if refused.code != "already_closing":
            raise
    db.session.expire_all()
    return _now()


@endpoint(bp, "DELETE", ADDRESS, ok={204: None}, tag=TAG, needs="own", writes=True)
def stop() -> tuple[str, int]:
    """Open your merchant again

    Before its end. A repetition changes nothing.
    """
    try:
        closings.stop(caller().actor)
    except Refused as refused:
        if refused.code != "not_closing":
            raise
    return "", 204


@endpoint(
    bp,
    "POST",
    "/api/merchant/objections/",
    ok={200: schemas.Objection},
    tag=TAG,
    needs="own",
    writes=True,
    refuses={409: ("not_deactivated", "still_running", "too_many_objections")},
)
def object_to(json: schemas.NewObjection) -> Response:
    """Object to the deactivation of your merchant

    The operators read it. A few times a day at most.
    """
    key = idempotency.request_key(json)
    result = merchant_deactivations.object_to(caller().actor, text=json.reason, request_key=key)
    return idempotency.answer(result, 200, schemas.objection(result))


def _now() -> schemas.Closing:
    row = merchant()
    return schemas.closing(row, wind_downs.of_merchant(row.id))
