"""The merchants of a customer: what is due to each, and which of them may make plans for this person."""

import secrets

import msgspec
from flask import Blueprint, Response
from spectree.models import Tag

from portal.api import amounts, idempotency, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.models import Merchant
from portal.reports import tallies
from portal.reports.payments import offered_methods, shop_dues
from portal.reports.plans import shops
from portal.services import idempotency as keys
from portal.services.dues import shop_payments
from portal.services.idempotency import RequestKey
from portal.services.plans import pairs
from portal.wording.terms import accepting

bp = Blueprint("api_shops", __name__)
BLOCK = "/api/shops/<row:merchant_id>/block/"
DUE = "/api/shops/<row:merchant_id>/due/"
TAG = Tag("Shops", "The merchants that made plans for a customer.")


@endpoint(bp, "GET", "/api/shops/", ok={200: list[schemas.Shop]}, tag=TAG, needs="customer", forbidden="choose_shops")
def index(query: schemas.PageQuery) -> tuple[list[schemas.Shop], int, dict[str, str]]:
    """List your shops

    Every merchant that made a plan for you, the newest first. The next page is in the Link header.
    """
    page = shops.list_shops(caller().id, limit=query.limit, cursor=query.cursor)
    rows = [schemas.shop(row) for row in page.items]
    return rows, 200, list_headers(query, lambda: tallies.count(shops.find_shops(caller().id)), page.next_cursor)


@endpoint(bp, "PUT", BLOCK, ok={204: None}, tag=TAG, needs="customer", writes=True, forbidden="choose_shops")
def block(merchant_id: int) -> tuple[str, int]:
    """Block a shop

    It makes no new plan for you. Your plans with it go on. A repetition changes nothing.
    """
    pairs.block(_known(merchant_id), user_id=caller().id)
    return "", 204


@endpoint(bp, "DELETE", BLOCK, ok={204: None}, tag=TAG, needs="customer", writes=True, forbidden="choose_shops")
def allow(merchant_id: int) -> tuple[str, int]:
    """Allow a shop to make plans for you again

    After a block, and after a dispute. A repetition changes nothing.
    """
    pairs.allow(_known(merchant_id), user_id=caller().id)
    return "", 204


@endpoint(bp, "GET", DUE, ok={200: schemas.ShopDue}, tag=TAG, needs="pay")
def due(merchant_id: int, query: schemas.ShopDueQuery) -> schemas.ShopDue:
    """The amount due to a shop

    By today, in one currency, on the plans that one payment pays. Those that it leaves out are counted by reason.
    """
    shop = _shop(merchant_id)
    currency, me = query.currency or shop.home_currency, caller().id
    rows, left_out = shop_dues.plans_due(me, shop.id, currency), shop_dues.left_out(me, shop.id, currency)
    return schemas.shop_due((shop.id, shop.business_name), currency, rows, left_out)


@endpoint(
    bp,
    "POST",
    "/api/shops/<row:merchant_id>/pay/",
    ok={
        200: schemas.ShopPaid,
        202: (schemas.ShopPaid, "A payment has no outcome yet, or plans were not tried: send it again with its key."),
    },
    tag=TAG,
    needs="pay",
    writes=True,
    refuses={
        409: ("amount_changed", "merchant_deactivated", "nothing_due", "still_running"),
        422: ("unknown_method",),
    },
)
def pay(merchant_id: int, json: schemas.PayShop) -> Response:
    """Pay everything that is due to a shop

    By today, 20 plans at most, one payment for each, the oldest due date first. It is carried out whatever becomes of
    a single plan: look at the `outcome` of each. After a payment without an outcome no further plan is tried. Sent
    again with the same Idempotency-Key, it goes on with what is left of it, and pays nothing twice.
    """
    shop = _shop(merchant_id)
    currency = json.currency or shop.home_currency
    expected = amounts.read(currency, expected=json.expected)["expected"]
    key = idempotency.request_key(json) or _one_use(merchant_id, json)
    with amounts.refusals_as_decimals(currency):
        press = shop_payments.pay(
            shop.id,
            currency,
            customer_id=caller().id,
            total=expected,
            method=offered_methods.default_token() if json.payment_method is None else json.payment_method,
            accepting=accepting(),
            request_key=key,
        )
    is_open = any(part.outcome in ("checking", "not_tried") for part in press.outcomes)
    body = schemas.shop_paid(press.begun, press.outcomes)
    if is_open:
        return idempotency.answer(press.begun, 202, body, f"/api/shops/{shop.id}/due/")
    return idempotency.answer(press.begun, 200, body)


def _one_use(merchant_id: int, json: schemas.PayShop) -> RequestKey:
    """The key of a request without one. The plans of one payment have keys that follow from it."""
    scope = f"POST /api/shops/{merchant_id}/pay"
    return RequestKey(caller().id, scope, secrets.token_hex(16), keys.fingerprint(msgspec.json.encode(json)))


def _shop(merchant_id: int) -> Merchant:
    shop = shop_dues.shop_of(caller().id, _known(merchant_id))
    if shop is None:
        raise NotFound()
    return shop


def _known(merchant_id: int) -> int:
    if merchant_id > MAX_ID:
        raise NotFound()
    return merchant_id
