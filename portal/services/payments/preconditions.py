"""Preconditions of a change to a plan's money: lock the plan, read it again, refuse what the form could not know."""

import re
from collections.abc import Sequence

from portal.domain import money
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, PaymentMethod, Plan
from portal.services.text_faults import read_text

"""Characters of a reason."""


def lock(plan_id: int, *, merchant_id: int) -> tuple[Plan, list[Installment]]:
    """Lock this merchant's plan and its installments until the transaction ends, and read them again.

    Refuses: not_found; payment_in_flight (facts: payment_id).
    """
    plan = Plan.lock(plan_id)
    if plan is None or plan.merchant_id != merchant_id:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    nothing_in_flight(plan.id)
    return plan, rows


def lock_payments(plan_id: int) -> list[Payment]:
    """The plan's payments, read again, newest first. The lock on the plan covers them."""
    query = Payment.of_plan(plan_id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))


def nothing_in_flight(plan_id: int) -> None:
    """Refuses: payment_in_flight (facts: payment_id), while the outcome of a payment of this plan is unknown."""
    if (payment := Payment.in_flight_of_plan(plan_id)) is not None:
        raise Refused(
            "payment_in_flight",
            "A payment of this plan is still being checked with the bank. Nothing was changed.",
            payment_id=payment.id,
        )


def is_usable(customer_id: int, token: str) -> bool:
    """Whether this customer may pay with this method: a test card, or a saved method of theirs."""
    if gateway.is_known(token):
        return True
    if not re.fullmatch(gateway.SAVED_TOKEN, token):
        return False
    query = PaymentMethod.of_customer(customer_id).where(PaymentMethod.token == token)
    return db.session.scalar(query.with_only_columns(PaymentMethod.id).order_by(None)) is not None


def unchanged(shown: int | None, fresh: int, currency: str, **facts: int) -> None:
    """Refuses: amount_changed (facts: `facts`, or remaining), when the form showed another figure. Minor units."""
    if shown is not None and shown != fresh:
        raise Refused(
            "amount_changed",
            f"The figures have changed: it is {money.show(fresh, currency)} now. Nothing was changed.",
            **(facts or {"remaining": fresh}),
        )


def reason_of(text: str, *, needed: bool = True) -> str:
    """The reason as it is stored. Refuses: Invalid on reason (missing, or as domain/typed_text.py)."""
    return read_text("reason", text, required="Say why, in a few words." if needed else None)


def within(amount: int, limit: int, currency: str, *, field: str = "amount", words: str, fact: str) -> None:
    """Refuses: Invalid on `field` below 1; too_much above `limit` (facts: `fact`). Minor units."""
    if amount < 1:
        raise Invalid(Fault(field, "bad_amount", "Enter an amount above zero."))
    if amount > limit:
        message = words.format(limit=money.show(limit, currency))
        raise Refused("too_much", message, **{fact: limit})


def open_parts(rows: Sequence[Installment]) -> list[tuple[int, int]]:
    """(installment id, remaining minor units) of the open installments by number, for domain/allocation."""
    return [(row.id, row.left) for row in rows if row.left > 0]
