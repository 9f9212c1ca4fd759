"""Paying everything due to a business: the confirmation that lists the plans, and what became of each."""

import re
from typing import Final

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.identifiers import MAX_ID
from portal.domain.money import MAX_MINOR
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Merchant, Plan
from portal.reports.payments import offered_methods, shop_dues
from portal.services.dues import presses, shop_payments
from portal.services.dues.presses import Press
from portal.services.dues.shop_payments import Part
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.labels import KEY
from portal.web.method_labels import methods_of
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.payments.after_paying import after_press
from portal.web.payments.plan_payments import CHANGED
from portal.web.plans.payment_notes import CHECKING, INCOMPLETE, USED
from portal.web.respond import fragment_or_page, go, is_htmx, page, vary_on_htmx
from portal.wording.terms import accepting

bp = Blueprint("shop_payments", __name__, url_prefix="/shops/<int:merchant_id>/due/<currency>")

WORDS: Final = {"idempotency_key_reused": USED, "still_running": CHECKING, "amount_changed": CHANGED}


@bp.get("")
@login_needed
def new(merchant_id: int, currency: str) -> Response:
    """The confirmation: what is due on each plan, and the payment methods."""
    return _form(_shop(merchant_id), _currency(currency))


@bp.post("")
@rate_limits.writing
@login_needed
def create(merchant_id: int, currency: str) -> ResponseReturnValue:
    """Pay the listed plans in their order, once for each form, and go to the page of their outcomes."""
    shop, currency, me = _shop(merchant_id), _currency(currency), my_actor().user_id
    key, parts = request.form.get("key", ""), _parts()
    if parts is None or not re.fullmatch(KEY, key):
        return _form(shop, currency, 422, str(INCOMPLETE))
    method = request.form.get("method", offered_methods.default_token())[:64]
    scope = shop_payments.scope_of(merchant_id, currency)
    press_key = request_key(me, scope, key, *(f"{part.plan_id}:{part.minor}" for part in parts), method)
    paid: shop_payments.Press | NotDone = carry_out(
        lambda: shop_payments.pay(
            merchant_id,
            currency,
            customer_id=me,
            shown=parts,
            method=method,
            accepting=accepting(),
            request_key=press_key,
        ),
        WORDS,
    )
    if isinstance(paid, NotDone):
        return _form(_shop(merchant_id), currency, paid.status, paid.message, parts, method)
    return go(url_for(".show", merchant_id=merchant_id, currency=currency, key=key))


@bp.get("/<key>")
@login_needed
def show(merchant_id: int, currency: str, key: str) -> Response:
    """The outcome of each plan. A poll by htmx gets 204 while the outcome of a payment is unknown."""
    shop, currency, me = _shop(merchant_id), _currency(currency), my_actor().user_id
    press = presses.press(me, merchant_id, currency, key) if re.fullmatch(KEY, key) else None
    if press is None:
        raise NotFound()
    if is_htmx() and press.checking:
        return vary_on_htmx(Response(status=204))
    return fragment_or_page("dues/_outcome.html", "dues/shop_payments_show.html", **_outcome(shop, currency, press))


def _outcome(shop: Merchant, currency: str, press: Press) -> dict[str, object]:
    plan_ids = [part.plan.id for part in press.parts]
    return {
        "shop": shop,
        "currency": currency,
        "press": press,
        "next": shop_dues.next_due(my_actor().user_id, plan_ids) if press.is_whole else None,
        "all_paid": press.is_whole and all(part.plan.state != "active" for part in press.parts),
        "after": after_press(press),
        "polls": request.path,
    }


def _form(
    shop: Merchant,
    currency: str,
    status: int = 200,
    notice: str = "",
    sent: list[Part] | None = None,
    method: str | None = None,
) -> Response:
    me = my_actor().user_id
    due = shop_dues.plans_due(me, shop.id, currency)
    listed = db.select(Plan).where(Plan.id.in_([row.plan_id for row in due]))
    plans = {plan.id: plan for plan in db.session.scalars(listed)}
    return page(
        "dues/shop_payments_new.html",
        status,
        shop=shop,
        currency=currency,
        due=[(row, plans[row.plan_id]) for row in due],
        total=sum(row.minor for row in due),
        left_out=shop_dues.left_out(me, shop.id, currency),
        methods=methods_of(me),
        method=method,
        notice=notice,
        changed=sent is not None and sent != [Part(row.plan_id, row.minor) for row in due],
    )


def _shop(merchant_id: int) -> Merchant:
    """The business with a plan that this person owes. Raises NotFound."""
    shop = shop_dues.shop_of(my_actor().user_id, merchant_id) if 0 < merchant_id <= MAX_ID else None
    if shop is None:
        raise NotFound()
    return shop


def _currency(code: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise NotFound()
    return code


def _parts() -> list[Part] | None:
    """The plans and amounts that the form listed; None when one is malformed, or their number is."""
    fields = request.form.getlist("part")
    if not 0 < len(fields) <= shop_dues.MAX_PLANS:
        return None
    matches = [re.fullmatch(r"([0-9]{1,19}):([0-9]{1,16})", field) for field in fields]
    parts = [Part(int(match[1]), int(match[2])) for match in matches if match is not None]
    valid = len(parts) == len(fields) and all(part.plan_id <= MAX_ID and part.minor <= MAX_MINOR for part in parts)
    return parts if valid else None
