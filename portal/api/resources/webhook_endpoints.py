"""Webhook endpoints: addresses of a merchant's servers that get its events."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal.api import idempotency, parsing, schemas
from portal.api.callers import caller, merchant, require_fresh_sign_in
from portal.api.endpoints import endpoint, list_headers
from portal.errors import Fault
from portal.extensions import db
from portal.models import WebhookEndpoint
from portal.reports import tallies, webhooks
from portal.reports.tallies import Count
from portal.services.webhooks import endpoints, redelivery

bp = Blueprint("api_webhook_endpoints", __name__)
TAG = Tag("Webhooks", "Addresses that get events, signed after Standard Webhooks. For owners.")
ADDRESS = "/api/webhook-endpoints/"
ONE = "/api/webhook-endpoints/<endpoint_name>/"
FRESH = ("fresh_sign_in_needed",)
BAD = ("bad_url", "not_https", "refused_address")


@parsing.further_faults(schemas.NewEndpoint)
@parsing.further_faults(schemas.ChangedEndpoint)
def _url_faults(values: parsing.Values) -> list[Fault]:
    return endpoints.url_faults(values["url"]) if values.get("url") is not None else []


@endpoint(bp, "GET", ADDRESS, ok={200: list[schemas.WebhookEndpoint]}, tag=TAG, needs="keys")
def index(query: schemas.ListQuery) -> tuple[list[schemas.WebhookEndpoint], int, dict[str, str]]:
    """List your endpoints

    Newest first, all of them.
    """
    rows = [schemas.webhook_endpoint(row) for row in webhooks.list_endpoints(merchant().id)]
    return rows, 200, list_headers(query, lambda: Count(len(rows)), None)


@endpoint(
    bp,
    "POST",
    ADDRESS,
    ok={201: schemas.EndpointWithSecret},
    tag=TAG,
    needs="keys",
    writes=True,
    secret=True,
    refuses={403: FRESH, 409: ("email_changed", "merchant_draft", "too_many_endpoints"), 422: BAD},
)
def create(json: schemas.NewEndpoint) -> tuple[schemas.EndpointWithSecret, int, dict[str, str]]:
    """Make an endpoint

    It gets the events that happen from now on. Its secret is in this answer only. The sign-in (`POST /token/`) is at
    most 15 minutes old. The owners get a mail.
    """
    require_fresh_sign_in()
    made = endpoints.create(caller().actor, url=json.url, types=json.types)
    row = db.session.get_one(WebhookEndpoint, made.endpoint_id)
    return schemas.endpoint_with_secret(row, made.secret or ""), 201, {"Location": f"{ADDRESS}{row.name}/"}


@endpoint(bp, "GET", ONE, ok={200: schemas.WebhookEndpoint}, tag=TAG, needs="keys")
def show(endpoint_name: str) -> schemas.WebhookEndpoint:
    """One endpoint"""
    return schemas.webhook_endpoint(endpoints.find(merchant().id, endpoint_name))


@endpoint(
    bp,
    "PATCH",
    ONE,
    ok={200: schemas.WebhookEndpoint},
    tag=TAG,
    needs="keys",
    writes=True,
    refuses={403: FRESH, 409: ("email_changed",), 422: BAD},
)
def update(endpoint_name: str, json: schemas.ChangedEndpoint) -> schemas.WebhookEndpoint:
    """Change an endpoint, or turn it off or on

    A request with `url` wants a sign-in that is at most 15 minutes old. The owners get a mail about a new address.
    """
    if json.url is not None:
        require_fresh_sign_in()
    endpoints.change(endpoint_name, actor=caller().actor, url=json.url, types=json.types, enabled=json.enabled)
    return schemas.webhook_endpoint(endpoints.find(merchant().id, endpoint_name))


@endpoint(bp, "DELETE", ONE, ok={204: None}, tag=TAG, needs="keys", writes=True)
def destroy(endpoint_name: str) -> tuple[str, int]:
    """Delete an endpoint

    Waiting deliveries end.
    """
    endpoints.delete(endpoint_name, actor=caller().actor)
    return "", 204


@endpoint(
    bp,
    "POST",
    f"{ONE}rotate/",
    ok={200: schemas.NewSecret},
    tag=TAG,
    needs="keys",
    writes=True,
    secret=True,
    refuses={403: FRESH, 409: ("email_changed",)},
)
def rotate(endpoint_name: str, json: schemas.Nothing) -> schemas.NewSecret:
    """Make a new secret

    For 24 hours each request carries a signature of the new secret and one of the previous secret. The sign-in is at
    most 15 minutes old.
    """
    require_fresh_sign_in()
    made = endpoints.rotate(endpoint_name, actor=caller().actor)
    row = endpoints.find(merchant().id, endpoint_name)
    until = row.old_secret_until or row.created_at
    return schemas.NewSecret(id=row.name, secret=made.secret or "", old_secret_until=until)


@endpoint(bp, "GET", f"{ONE}deliveries/", ok={200: list[schemas.WebhookSent]}, tag=TAG, needs="keys")
def deliveries(
    endpoint_name: str, query: schemas.DeliveryQuery
) -> tuple[list[schemas.WebhookSent], int, dict[str, str]]:
    """Deliveries of an endpoint

    Newest first, with the attempts of each delivery. The next page is in the Link header.
    """
    row = endpoints.find(merchant().id, endpoint_name)
    page = webhooks.list_deliveries(row, state=query.status, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.delivery(one) for one in page.items],
        200,
        list_headers(query, lambda: tallies.count(webhooks.find_deliveries(row, state=query.status)), page.next_cursor),
    )


@endpoint(
    bp,
    "POST",
    f"{ONE}deliveries/<event_name>/send/",
    ok={202: schemas.QueuedDelivery},
    tag=TAG,
    needs="keys",
    writes=True,
    refuses={409: ("delivery_waiting", "endpoint_disabled")},
)
def send_again(endpoint_name: str, event_name: str, json: schemas.Nothing) -> Response:
    """Send an event again

    Under the same id, with all its retries. Location is the list of deliveries.
    """
    key = idempotency.request_key(json)
    queued = redelivery.send_again(endpoint_name, event_name, actor=caller().actor, request_key=key)
    where = f"{ADDRESS}{endpoint_name}/deliveries/"
    return idempotency.answer(queued, 202, schemas.QueuedDelivery(event=queued.event), where)
