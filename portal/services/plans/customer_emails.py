"""Correct the email of a plan: it moves to the person of the right address, before anything has happened on it."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select, update

from portal.domain import clock
from portal.domain.events import CustomerUpdated
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import (
    Installment,
    LedgerEntry,
    Merchant,
    Payment,
    Plan,
    Refund,
    Reminder,
)
from portal.services import emails, events, mail_limits, row_facts
from portal.services.accounts import accounts
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, invitations, pairs, plan_lock
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work
from portal.services.webhooks import answers

TO_FORMER = "plan_not_yours"
TO_NEW = "plan_yours"
"""The kinds of the mails to the former address and to a new one with an account. A new one that is to accept the plan
gets its terms instead."""


@dataclass(frozen=True, slots=True)
class CustomerCorrected(Result):
    """The plan belongs to the person of the corrected email."""

    version: ClassVar[int] = 5
    plan: PlanFacts

    @property
    def plan_id(self) -> int:
        return self.plan.id


@unit_of_work
def correct(
    plan_id: int, customer_email: str, *, actor: Actor, request_key: RequestKey | None = None
) -> CustomerCorrected:
    """Move an active plan to the person of another email, while the account paid nothing on it and accepted nothing.

    Payments by the pay link, and those that the business recorded, move along. Every link of the former address ends,
    and so does their dispute; the new person may dispute the plan, too. What receivers of webhooks answered is blanked.
    Both addresses get a mail, the former one without the purchase. Reminders that wait go to the new one. The plan
    counts, or waits for acceptance, as a new plan for the new person does.

    Refuses: forbidden; own_plan; not_found; payment_in_flight (facts: payment_id); refund_in_flight; email_fixed (the
    plan is closed or accepted, the account paid or tried to, the customer turned on automatic payment,
    it is booked in closed books, or a part was credited or written off of a plan that would wait for acceptance);
    Invalid on customer_email (malformed,
    not_a_customer, same_email, blocked, plan_limit, mail_limit); idempotency_key_reused; still_running; busy.
    """
    plan = plan_lock.lock(plan_id, actor, "create_plans")
    _refuse_in_flight(plan.id)
    books = select(Merchant.books_closed_until).where(Merchant.id == plan.merchant_id)
    db.session.execute(books.with_for_update(read=True, key_share=True))  # a closing waits, as it does for a booking
    refuse_if_fixed(plan)
    customer = accounts.find_or_invite(customer_email, plan.merchant_id)
    former_id = plan.customer_id
    if customer.id == former_id:
        raise Invalid(Fault("customer_email", "same_email"))
    pair = pairs.lock(plan.merchant_id, customer.id)
    if pair.is_closed:
        raise Invalid(Fault("customer_email", "blocked"))
    if not customer.is_claimed:
        mail_limits.check_invitation(plan.merchant_id, customer)
    else:
        mail_limits.check_customer(plan.merchant_id, customer)
    now = clock.now()
    invitations.end_all(plan)
    answers.blank(former_id, select(Plan.id).where(Plan.id == plan.id))
    waiting = update(Reminder).where(Reminder.plan_id == plan.id, Reminder.state == "waiting")
    db.session.execute(waiting.values(customer_id=customer.id, email_id=None))
    _settle_acceptance(plan, asks=pair.accepted_at is None and agreement.is_required(), by=actor.user_id)
    agreement.leave_dispute(plan, by=actor.user_id)
    plan.disputed, plan.disputed_at, plan.dispute_ended_at = False, None, None
    plan.customer_id, plan.updated_at, plan.reported_at = customer.id, now, None
    db.session.flush()
    pairs.carry_words(pair, former_id)
    db.session.flush()
    db.session.expire(plan)
    events.record(CustomerUpdated(customer_id=customer.id, before_id=former_id), plan_id=plan.id, by=actor.user_id)
    emails.post(
        TO_FORMER,
        to_user_id=former_id,
        merchant_id=plan.merchant_id,
        dedupe_key=f"{TO_FORMER}:{plan.id}:{customer.id}:{now:%Y%m%dT%H%M%S%f}",
        data={"total": plan.total, "currency": plan.currency},
    )
    if customer.is_claimed:
        kind = "plan_made" if plan.is_asked else TO_NEW
        emails.post(
            kind,
            to_user_id=customer.id,
            merchant_id=plan.merchant_id,
            plan_id=plan.id,
            dedupe_key=f"{kind}:{plan.id}:{customer.id}:{now:%Y%m%dT%H%M%S%f}",
        )
    else:
        invitations.invite(plan, by=actor.user_id)
    return CustomerCorrected(row_facts.changed_plan(plan.id))


def _settle_acceptance(plan: Plan, *, asks: bool, by: int) -> None:
    rows = Installment.lock_of_plan(plan.id)
    if not asks:
        if not plan.counted:
            agreement.count(plan, rows, by=by)
        return
    if plan.counted and any(row.credited or row.written_off for row in rows):
        raise Refused("email_fixed", about="changed")
    agreement.ask_anew(plan, rows)


def _refuse_in_flight(plan_id: int) -> None:
    plan_lock.nothing_in_flight(plan_id)
    if db.session.scalar(select(Refund.id).where(Refund.plan_id == plan_id, Refund.state == "in_flight").limit(1)):
        raise Refused("refund_in_flight", about="plan")


def may_be_corrected(plan: Plan) -> bool:
    """Whether `correct` is possible now, for the page that offers it."""
    try:
        refuse_if_fixed(plan)
    except Refused:
        return False
    return True


def refuse_if_fixed(plan: Plan) -> None:
    """Refuses: email_fixed."""
    if plan.state != "active":
        raise Refused("email_fixed", about="closed")
    if plan.accepted_at is not None:
        raise Refused("email_fixed", about="agreed")
    if plan.automatic_method_id is not None:
        raise Refused("email_fixed", about="accepted")
    by_account = Payment.gateway_key.is_not(None) & Payment.link.is_distinct_from("pay")
    paid = select(Payment.id).where(Payment.plan_id == plan.id, by_account).exists()
    booked = select(LedgerEntry.id).join(Merchant, Merchant.id == LedgerEntry.merchant_id)
    booked = booked.where(LedgerEntry.plan_id == plan.id, LedgerEntry.booked_on <= Merchant.books_closed_until)
    is_paid, is_booked = db.session.execute(select(paid, booked.exists())).one()
    if is_paid:
        raise Refused("email_fixed", about="paid")
    if is_booked:
        raise Refused("email_fixed", about="booked")
