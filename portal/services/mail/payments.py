"""Mails about payments: receipt, declined or reversed payment, end of automatic payment, completed plan, refund."""

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Email, Payment, PaymentMethod, Plan, Refund
from portal.reports.payments import offered_methods
from portal.services.mail.facts import Facts, NoLongerTrue, link, link_for, mail_kind, plan_of, progress, purchase
from portal.wording import dates, decline_reasons, labels
from portal.wording.lazy import lazy_pgettext


@mail_kind("receipt", lazy_pgettext("kind of mail", "Receipt"), of_deactivated_merchants=True)
def receipt(row: Email) -> Facts:
    """A successful payment, and what is still to pay."""
    payment = payment_of(row)
    if payment.state != "succeeded":
        raise NoLongerTrue("payment_reversed")
    plan, rows = plan_of(payment.plan_id)
    numbers = {installment.id: installment.number for installment in rows}
    remaining = sum(installment.remaining for installment in rows)
    lost = sum(installment.payable for installment in rows) if not remaining and plan.cancelled_at is None else 0
    returned = sum(part.returned for part in payment.allocations)
    won = db.session.get_one(Payment, payment.wins_back_id) if payment.wins_back_id is not None else None
    unsettled = plan.is_asked or plan.disputed
    coming = next((installment for installment in rows if installment.is_open and not unsettled), None)
    return (
        progress(rows)
        | {
            "asks": plan.is_asked and not plan.disputed,
            "disputed": plan.disputed,
            "amount": money.show(payment.amount, plan.currency),
            "purchase": purchase(plan),
            "paid_on": paid_on(payment, plan),
            "how": _method_words(payment),
            "reference": payment.reference or None,
            "parts": [
                (
                    _(
                        "Payment %(number)s of %(total)s",
                        number=numbers[part.installment_id],
                        total=plan.num_installments,
                    ),
                    money.show(part.amount - part.returned, plan.currency),
                )
                for part in sorted(payment.allocations, key=lambda part: numbers[part.installment_id])
                if part.returned < part.amount
            ],
            "won": {"paid_on": paid_on(won, plan)} if won is not None else None,
            "not_owed": money.show(returned, plan.currency) if returned else None,
            "remaining": money.show(remaining, plan.currency) if remaining and not unsettled else None,
            "written_off": money.show(lost, plan.currency) if lost else None,
            "next": {
                "amount": money.show(coming.remaining, plan.currency),
                "date": dates.long_day(coming.due_date),
                "past": coming.due_date < plan.today,
            }
            if coming is not None
            else None,
        }
        | link_for(row, "receipt_url", f"/payments/{payment.id}", below=f"/payments/{payment.id}")
    )


@mail_kind("payment_declined", lazy_pgettext("kind of mail", "Payment declined"))
def payment_declined(row: Email) -> Facts:
    """A declined payment of installments that can still be paid."""
    payment = payment_of(row)
    plan, rows = plan_of(payment.plan_id)
    installment_ids = {part.installment_id for part in payment.allocations}
    parts = [installment for installment in rows if installment.id in installment_ids]
    if plan.cancelled_at is not None or not any(part.payable for part in parts):
        raise NoLongerTrue("not_open")
    return (
        progress(rows)
        | {
            "amount": money.show(payment.amount, plan.currency),
            "purchase": purchase(plan),
            "tried_on": dates.long_day(clock.local_date(payment.created_at, plan.time_zone)),
            "reason": decline_reasons.of_payment(payment.decline_code, mine=True),
            "automatic": payment.automatic and any(part.is_open for part in parts),
        }
        | link_for(row, "pay_url", f"/plans/{plan.id}")
    )


@mail_kind("payment_reversed", lazy_pgettext("kind of mail", "Payment bounced"))
def payment_reversed(row: Email) -> Facts:
    """A payment that the bank took back, and what is to pay because of it.

    If it was refunded whole before, nothing is, and the mail only says that automatic payment is off.
    """
    payment = payment_of(row)
    plan, rows = plan_of(payment.plan_id)
    payable = sum(installment.payable for installment in rows)
    if not payable or plan.cancelled_at is not None:
        raise NoLongerTrue("not_open")
    stopped = bool(row.data.get("stopped")) and plan.automatic_method_id is None
    if is_won(payment) or not (payment.reversed or stopped):
        raise NoLongerTrue("payment_stands")
    coming = next((installment for installment in rows if installment.is_open), None)
    return (
        progress(rows)
        | {
            "amount": money.show(payment.reversed or payment.amount, plan.currency),
            "purchase": purchase(plan),
            "paid_on": paid_on(payment, plan),
            "how": _method_words(payment),
            "refunded": not payment.reversed,
            "asks": plan.is_asked,
            "disputed": plan.disputed,
            "remaining": money.show(sum(installment.remaining for installment in rows), plan.currency),
            "written_off": money.show(payable, plan.currency) if coming is None else None,
            "stopped": stopped,
            "next": {
                "amount": money.show(coming.remaining, plan.currency),
                "date": dates.long_day(coming.due_date),
                "past": coming.due_date < plan.today,
            }
            if coming is not None
            else None,
        }
        | link_for(row, "pay_url", f"/plans/{plan.id}")
    )


@mail_kind("automatic_stopped", lazy_pgettext("kind of mail", "Automatic stopped"))
def automatic_stopped(row: Email) -> Facts:
    """Automatic payment ended with its method, and the next installment has to be paid by hand."""
    plan, rows = plan_of(row.plan_id)
    coming = next((installment for installment in rows if installment.is_open), None)
    if coming is None or plan.automatic_method_id is not None:
        raise NoLongerTrue("nothing_owed")
    return progress(rows) | {
        "last4": row.data.get("last4"),
        "purchase": purchase(plan),
        "amount": money.show(coming.remaining, plan.currency),
        "due": dates.long_day(coming.due_date),
        "past": coming.due_date < plan.today,
        "plan_url": link(f"/plans/{plan.id}"),
    }


@mail_kind("plan_completed", lazy_pgettext("kind of mail", "Plan completed"))
def plan_completed(row: Email) -> Facts:
    """A plan that is paid in full."""
    plan, rows = plan_of(row.plan_id)
    if plan.state != "completed":
        raise NoLongerTrue("owed_again")
    if any(installment.written_off for installment in rows):
        raise NoLongerTrue("written_off")
    if not any(installment.paid for installment in rows):
        raise NoLongerTrue("plan_closed")
    return (
        progress(rows)
        | {
            "purchase": purchase(plan),
            "paid": money.show(sum(installment.paid for installment in rows), plan.currency),
        }
        | link_for(row, "plan_url", f"/plans/{plan.id}")
    )


@mail_kind(
    "refund", lazy_pgettext("kind of mail", "Refund"), of_deactivated_merchants=True, to_deactivated_accounts=True
)
def refund(row: Email) -> Facts:
    """A successful refund."""
    refund = db.session.get_one(Refund, row.data["refund_id"])
    payment = db.session.get_one(Payment, refund.payment_id)
    if refund.state != "succeeded":
        raise NoLongerTrue("not_refunded")
    plan, _rows = plan_of(refund.plan_id)
    settled = refund.settled_at or refund.created_at
    return {
        "amount": money.show(refund.amount, plan.currency),
        "purchase": purchase(plan),
        "how": labels.manual_method_inline(payment.method) if payment.is_recorded else _method_words(payment),
        "by_hand": payment.is_recorded,
        "refunded_on": dates.long_day(clock.local_date(settled, plan.time_zone)),
        "payment_amount": money.show(payment.amount, plan.currency),
        "paid_on": paid_on(payment, plan),
    } | link_for(row, "plan_url", f"/plans/{plan.id}")


def paid_on(payment: Payment, plan: Plan) -> str:
    """The local day on which the money counts as received, or on which the customer tried."""
    if payment.received_on is not None:
        return dates.long_day(payment.received_on)
    return dates.long_day(clock.local_date(payment.value_at or payment.created_at, plan.time_zone))


def payment_of(row: Email) -> Payment:
    """The payment that a mail is about, with its allocations."""
    query = select(Payment).options(selectinload(Payment.allocations)).where(Payment.id == row.data["payment_id"])
    return db.session.scalars(query).one()


def is_won(payment: Payment) -> bool:
    """Whether money of this reversed payment came back, because the dispute about it was won."""
    won = select(Payment.id).where(Payment.wins_back_id == payment.id)
    return bool(payment.regained) or db.session.scalar(won) is not None


def _method_words(payment: Payment) -> str:
    """ "Visa ending in 4242", "Cash" """
    if payment.is_recorded:
        return labels.manual_method(payment.method)
    option = offered_methods.find(payment.method)
    card = option or db.session.scalar(select(PaymentMethod).where(PaymentMethod.token == payment.method))
    return labels.card_ending(card.brand, card.last4) if card is not None else str(_("Card"))
