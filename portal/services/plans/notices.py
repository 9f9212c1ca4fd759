"""Mails about the agreement on a plan. Called inside a unit of work; never commits. services/mail/plans.py words them.

Those to the business go to the owners and managers who did not turn them off (services/notices), those to the operator
to all operators.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from portal.models import Payment, Plan
from portal.services import emails
from portal.services.accounts import operators
from portal.services.notices import readers
from portal.services.notices.readers import News

CustomerMail = Literal["plan_made", "plan_accepted", "plan_withdrawn"]
DisputeMail = Literal["plan_disputed", "dispute_answered", "dispute_ended"]
ProposalMail = Literal["reschedule_proposed", "reschedule_accepted", "reschedule_withdrawn"]


def tell_customer(kind: CustomerMail, plan: Plan, *, again: bool = False, **data: Any) -> None:
    """Mail the customer of the plan, once for each kind. `again`: the same mail a second time."""
    emails.post(
        kind,
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"{kind}:{plan.id}" + (f":again:{plan.customer_id}" if again else ""),
        data=data,
    )


def tell_change(
    kind: Literal["plan_credited", "plan_written_off", "plan_cancelled"],
    plan: Plan,
    *,
    amount: int,
    before: int,
    reason_id: int | None,
) -> None:
    """Mail the customer what an act of the business changed: `amount` of `before`, what remained (minor units)."""
    emails.post(
        kind,
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"{kind}:{plan.id}:{reason_id}",
        data={"amount": amount, "before": before, "reason_id": reason_id},
    )


def tell_voided(plan: Plan, payment: Payment, *, before: int, owed: int, reason_id: int | None) -> None:
    """Mail the customer that a recorded payment was voided: `before` was left to pay, and `owed` is again (minor
    units).
    """
    emails.post(
        "payment_voided",
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"payment_voided:{payment.id}",
        data={
            "payment_id": payment.id,
            "amount": payment.reversed,
            "before": before,
            "owed": owed,
            "reason_id": reason_id,
        },
    )


def tell_rescheduled(
    plan: Plan,
    *,
    before: Sequence[tuple[date, int]],
    after: Sequence[tuple[date, int]],
    added: Sequence[int],
    reason_id: int | None,
) -> None:
    """Mail the customer the open dates and amounts (minor units) before and after. `added`: the new installments."""
    emails.post(
        "plan_rescheduled",
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"plan_rescheduled:{plan.id}:{reason_id}",
        data={
            "before": [[due.isoformat(), amount] for due, amount in before],
            "after": [[due.isoformat(), amount] for due, amount in after],
            "added": list(added),
            "reason_id": reason_id,
        },
    )


def tell_of_dispute(kind: DisputeMail, plan: Plan, dispute_id: int) -> None:
    """Mail the customer about their dispute of the plan."""
    emails.post(
        kind,
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"{kind}:{dispute_id}",
        data={"dispute_id": dispute_id},
    )


def tell_of_proposal(kind: ProposalMail, plan: Plan, proposal_id: int) -> None:
    """Mail the customer about a proposal of other days."""
    emails.post(
        kind,
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"{kind}:{proposal_id}",
        data={"proposal_id": proposal_id},
    )


def tell_business(news: News, plan: Plan, *, about: int | None = None) -> None:
    """Mail the owners and managers of the plan's business, once for each piece of news.

    `about` is the id of the thing that it is about, if a plan may have several.
    """
    notice = readers.NOTICE_OF[news]
    _post("plan_news", readers.readers_of(plan.merchant_id, notice, customer_id=plan.customer_id), news, plan, about)


def tell_operators(news: News, plan: Plan, *, about: int) -> None:
    """Mail all operators about a dispute (its id), and about the decision that ends it."""
    _post("dispute_notice", operators.operator_ids(), news, plan, about)


def _post(kind: str, user_ids: Sequence[int], news: News, plan: Plan, about: int | None = None) -> None:
    which = f":{about}" if about is not None else ""
    for user_id in user_ids:
        emails.post(
            kind,
            to_user_id=user_id,
            plan_id=plan.id,
            dedupe_key=f"{kind}:{plan.id}:{news}{which}:{user_id}",
            data={"news": news} | ({"about": about} if about is not None else {}),
        )
