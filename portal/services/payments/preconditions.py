"""What every change to a plan's money begins with: lock, re-read, and refuse what the form could not know."""

from collections.abc import Sequence

from portal.domain import money
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Installment, Payment, Plan

REASON_MAX = 200


def lock(plan_id: int, *, merchant_id: int) -> tuple[Plan, list[Installment]]:
    """Lock this merchant's plan and its installments until the transaction ends, and read them afresh.

    Refuses: not_found; payment_in_flight (facts: payment_id).
    """
    plan = Plan.lock(plan_id)
    if plan is None or plan.merchant_id != merchant_id:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    nothing_in_flight(plan.id)
    return plan, rows


def lock_payments(plan_id: int) -> list[Payment]:
    """The plan's payments as they are now, newest first. The plan's own lock keeps others from changing them."""
    found = Payment.of_plan(plan_id).execution_options(populate_existing=True)
    return list(db.session.scalars(found))


def nothing_in_flight(plan_id: int) -> None:
    """Refuses payment_in_flight while the outcome of a payment of this plan is not known."""
    if (waiting := Payment.in_flight_of_plan(plan_id)) is not None:
        raise Refused(
            "payment_in_flight",
            "A payment of this plan is still being checked with the bank. Nothing was changed.",
            payment_id=waiting.id,
        )


def unchanged(shown: int | None, fresh: int, currency: str, **facts: int) -> None:
    """Refuses amount_changed when the form showed another figure than there is now (both minor units)."""
    if shown is not None and shown != fresh:
        raise Refused(
            "amount_changed",
            f"The figures have changed: it is {money.show(fresh, currency)} now. Nothing was changed.",
            **(facts or {"remaining": fresh}),
        )


def reason_of(text: str, *, needed: bool = True) -> str:
    """A reason, trimmed. Raises Invalid on `reason` when it is missing, too long, or more than a line."""
    text = text.strip()
    if needed and not text:
        raise Invalid(Fault("reason", "required", "Say why, in a few words."))
    if len(text) > REASON_MAX or not text.isprintable():
        raise Invalid(Fault("reason", "too_long", f"Use at most {REASON_MAX} letters, on one line."))
    return text


def within(amount: int, limit: int, currency: str, *, field: str = "amount", words: str, fact: str) -> None:
    """Raises Invalid on `field` below 1; refuses too_much above `limit` (minor units), which `fact` names."""
    if amount < 1:
        raise Invalid(Fault(field, "bad_amount", "Enter an amount above zero."))
    if amount > limit:
        message = words.format(limit=money.show(limit, currency))
        raise Refused("too_much", message, **{fact: limit})


def open_parts(rows: Sequence[Installment]) -> list[tuple[int, int]]:
    """(installment id, what remains in minor units), by number, for allotment."""
    return [(row.id, row.left) for row in rows if row.left > 0]
