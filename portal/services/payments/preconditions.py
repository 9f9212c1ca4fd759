"""Preconditions of a change to a plan's money: lock the plan, read it again, refuse what the form could not know."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from portal.domain.money import Money
from portal.domain.permissions import Actor, Permission
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, PaymentMethod, Plan, Refund
from portal.services import row_facts
from portal.services.plans import plan_lock
from portal.services.row_facts import RefundFacts
from portal.services.text_faults import read_text


def lock(plan_id: int, actor: Actor, permission: Permission) -> tuple[Plan, list[Installment]]:
    """Lock the plan of the actor's business and its installments until the transaction ends, and read them again.

    Refuses: forbidden (without the permission); own_plan; not_found; payment_in_flight (facts: payment_id).
    """
    plan = plan_lock.lock(plan_id, actor, permission)
    rows = Installment.lock_of_plan(plan.id)
    plan_lock.nothing_in_flight(plan.id)
    return plan, rows


def lock_payments(plan_id: int) -> list[Payment]:
    """The plan's payments, read again, newest first. The lock on the plan covers them."""
    query = Payment.of_plan(plan_id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))


def is_usable(customer_id: int, token: str) -> bool:
    """Whether this customer may pay with this method: one that the gateway knows, or a saved method of theirs."""
    if gateway.active().is_known(token):
        return True
    if not re.fullmatch(r"[\x21-\x7e]{1,64}", token):  # no saved token; PostgreSQL refuses some characters
        return False
    query = PaymentMethod.of_customer(customer_id).where(PaymentMethod.token == token)
    return db.session.scalar(query.with_only_columns(PaymentMethod.id).order_by(None)) is not None


def unchanged(shown: int | None, fresh: int, currency: str, **facts: int) -> None:
    """Refuses: amount_changed (facts: `facts`, or remaining), when the form showed another figure. Minor units."""
    if shown is not None and shown != fresh:
        shown_facts: dict[str, Any] = {**facts} or {"remaining": fresh}
        raise Refused("amount_changed", limit=Money(fresh, currency), **shown_facts)


def reason_of(text: str, *, needed: bool = True) -> str:
    """The reason as it is stored. Refuses: Invalid on reason (missing, or as text_faults)."""
    return read_text("reason", text, if_empty=Fault("reason", "required") if needed else None)


def within(amount: int, limit: int, currency: str, *, field: str = "amount", about: str, fact: str) -> None:
    """Refuses: Invalid on `field` below 1; too_much about `about` above `limit` (facts: `fact`). Minor units."""
    if amount < 1:
        raise Invalid(Fault(field, "bad_amount", about="zero"))
    if amount > limit:
        raise Refused("too_much", about=about, limit=Money(limit, currency), **{fact: limit})


def open_parts(rows: Sequence[Installment]) -> list[tuple[int, int]]:
    """(installment id, remaining minor units) of the open installments by number, for domain/allocation."""
    return [(row.id, row.left) for row in rows if row.left > 0]


def refunds_of(
    external_id: str | None, plan: Plan, amount: int, reason: str, payment_id: int | None
) -> tuple[RefundFacts, ...]:
    """The refunds of the merchant's request with this id, of which the bank did not decline all; empty if it is new.

    Locks the id until the transaction ends. `amount` is in minor units. Refuses: external_id_used (facts: refund_ids),
    unless these refunds are the ones that are asked for.
    """
    if external_id is None:
        return ()
    plan_lock.lock_external_id("refund", plan.merchant_id, external_id)
    live = Refund.merchant_id == plan.merchant_id, Refund.external_id == external_id, Refund.state != "declined"
    groups = select(Refund.group_key).where(*live)
    rows = row_facts.of_refunds(db.session.scalars(select(Refund.id).where(Refund.group_key.in_(groups))))
    if rows:
        same = {row.plan_id for row in rows} == {plan.id} and sum(row.amount for row in rows) == amount
        reasons = {row.reason for row in rows} <= {reason, None}
        payments = payment_id is None or {row.payment_id for row in rows} == {payment_id}
        if not (same and reasons and payments):
            raise Refused("external_id_used", about="refund", refund_ids=[row.id for row in rows])
    return rows
